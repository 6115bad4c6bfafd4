//! A proxy between the host and its database whose connections break or fall silent during a statement.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Moment at which a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After the first half of the append has arrived.
    InTheMiddle,
    /// After all of the append has arrived, without waiting for the outcome.
    BehindIt,
    /// After the commit, before the answer arrives.
    BeforeTheAnswer,
}

/// Moment at which the proxy falls silent: nothing passes any more on any connection, also on new ones, and none is
/// closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Before the host's query ahead of a decision arrives.
    AtTheLookup,
    /// Before the append arrives.
    AtTheAppend,
    /// After the append is committed, before the answer arrives.
    AtTheAnswer,
}

/// Statement at whose beginning a fault may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statement {
    Lookup,
    Append,
}

/// Running proxy. It ends when it is dropped.
pub struct Proxy {
    /// URL of the database through the proxy.
    pub url: String,
    wire: Arc<Wire>,
    _server: JoinSet<()>,
}

struct Wire {
    upstream: String,
    next: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    silence: Mutex<Option<Silence>>,
    speaks: watch::Sender<bool>,
    given_up: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of a database's server.
    pub async fn start(database_url: &str) -> Result<Self> {
        let mut url: Url = database_url.parse()?;
        let upstream = format!("{}:{}", url.host_str().context("no host")?, url.port().context("no port")?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        url.set_port(Some(listener.local_addr()?.port())).ok().context("no port")?;
        // The proxy reads the messages, so they must not be encrypted.
        url.set_query(Some("sslmode=disable"));
        let wire = Arc::new(Wire {
            upstream,
            next: Mutex::default(),
            cuts: AtomicU64::new(0),
            silence: Mutex::default(),
            speaks: watch::Sender::new(true),
            given_up: AtomicU64::new(0),
        });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&wire)));
        Ok(Self { url: url.to_string(), wire, _server: server })
    }

    /// Breaks the connection of the next append.
    pub fn cut(&self, cut: Cut) {
        *self.wire.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// Number of connections that it broke.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.wire.cuts.load(Ordering::Relaxed)
    }

    /// Falls silent at the next statement of that kind.
    pub fn fall_silent(&self, silence: Silence) {
        *self.wire.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(silence);
    }

    /// Passes on again what arrives and what has waited. The connection on which it fell silent stays silent.
    pub fn speak(&self) {
        self.wire.speaks.send_replace(true);
    }

    /// Number of silent connections that the host has closed.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.wire.given_up.load(Ordering::Relaxed)
    }
}

impl Wire {
    /// Waits until the proxy is not silent.
    async fn spoken(&self) {
        // It fails only if the sender is gone, and the sender is in this struct.
        let _ = self.speaks.subscribe().wait_for(|speaks| *speaks).await;
    }

    /// Falls silent if this is the statement for it.
    fn fall_silent(&self, begun: Statement) -> Option<Silence> {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let fallen = silence.take_if(|silence| silence.statement() == begun);
        if fallen.is_some() {
            self.speaks.send_replace(false);
        }
        fallen
    }
}

impl Silence {
    fn statement(self) -> Statement {
        match self {
            Self::AtTheLookup => Statement::Lookup,
            Self::AtTheAppend | Self::AtTheAnswer => Statement::Append,
        }
    }
}

impl Statement {
    /// Identifies a statement by the text of the message that prepares it.
    fn of(message: &[u8]) -> Option<Self> {
        let holds = |word: &[u8]| message.windows(word.len()).any(|window| window == word);
        if holds(b"append_batch") {
            return Some(Self::Append);
        }
        holds(b"FROM snapshot_entries").then_some(Self::Lookup)
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>) {
    let mut connections = JoinSet::new();
    while let Ok((host, _)) = listener.accept().await {
        let wire = Arc::clone(&wire);
        // An error ends the connection, which is what a broken wire looks like.
        connections.spawn(async move { connect(host, &wire).await.ok() });
    }
}

async fn connect(host: TcpStream, wire: &Wire) -> Result<()> {
    wire.spoken().await;
    let database = TcpStream::connect(&wire.upstream).await?;
    // The pieces are small; none may wait for the next.
    host.set_nodelay(true)?;
    database.set_nodelay(true)?;
    let (from_host, mut to_host) = host.into_split();
    let (mut from_database, to_database) = database.into_split();
    let cut = tokio::select! {
        cut = pass_on(from_host, to_database, wire) => cut?,
        // The database has closed the connection.
        ended = pass_back(&mut from_database, &mut to_host, wire) => return ended,
    };
    if let Some((cut, to_database)) = cut {
        if cut == Cut::BeforeTheAnswer {
            committed(&mut from_database).await?;
        }
        wire.cuts.fetch_add(1, Ordering::Relaxed);
        drop((to_database, to_host));
    }
    Ok(())
}

/// Forwards the host's messages one by one, up to an append that is to be cut off. None: the host closed the
/// connection.
async fn pass_on(
    mut from_host: OwnedReadHalf,
    mut to_database: OwnedWriteHalf,
    wire: &Wire,
) -> Result<Option<(Cut, OwnedWriteHalf)>> {
    let mut statements = BTreeMap::new();
    let (mut cut, mut silence) = (None, None);
    // The first message has no type byte.
    let mut kind = None;
    while let Some((length, body)) = message(&mut from_host).await? {
        match kind {
            Some(b'P') => {
                if let Some(statement) = Statement::of(&body) {
                    statements.insert(text(&body, 0).to_vec(), statement);
                }
            }
            // The name of the portal is followed by that of the statement.
            Some(b'B') => {
                if let Some(statement) = statements.get(text(&body, text(&body, 0).len() + 1)) {
                    silence = wire.fall_silent(*statement);
                    if *statement == Statement::Append {
                        cut = wire.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                    }
                }
            }
            _ => {}
        }
        match silence {
            None => wire.spoken().await,
            // The answer is held back as everything else is.
            Some(Silence::AtTheAnswer) => {}
            Some(_) => return unheard(from_host, wire).await,
        }
        if let Some(kind) = kind {
            to_database.write_u8(kind).await?;
        }
        to_database.write_all(&length).await?;
        if cut == Some(Cut::InTheMiddle) {
            to_database.write_all(&body[..body.len() / 2]).await?;
            return Ok(cut.map(|cut| (cut, to_database)));
        }
        to_database.write_all(&body).await?;
        match (cut, silence, kind) {
            (Some(cut), _, Some(b'S')) => return Ok(Some((cut, to_database))),
            (None, Some(_), Some(b'S')) => return unheard(from_host, wire).await,
            _ => {}
        }
        match from_host.read_u8().await {
            Ok(next) => kind = Some(next),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Discards what the host sends, until it closes the connection.
async fn unheard<T>(mut from_host: OwnedReadHalf, wire: &Wire) -> Result<Option<T>> {
    let mut buffer = vec![0; 16 << 10];
    while from_host.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    wire.given_up.fetch_add(1, Ordering::Relaxed);
    Ok(None)
}

/// Forwards what the database sends, until it closes the connection.
async fn pass_back(
    from_database: &mut OwnedReadHalf,
    to_host: &mut OwnedWriteHalf,
    wire: &Wire,
) -> Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from_database.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        wire.spoken().await;
        to_host.write_all(&buffer[..count]).await?;
    }
}

/// Reads a message without its type byte: its length as sent, and its content. None: the connection ended.
async fn message(from: &mut OwnedReadHalf) -> Result<Option<([u8; 4], Vec<u8>)>> {
    let mut length = [0; 4];
    if from.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let rest = u32::from_be_bytes(length).checked_sub(4).context("no message of PostgreSQL's")?;
    let mut body = vec![0; usize::try_from(rest)?];
    from.read_exact(&mut body).await?;
    Ok(Some((length, body)))
}

/// Waits until the database is ready for the next statement: then this one is committed or refused.
async fn committed(from_database: &mut OwnedReadHalf) -> Result<()> {
    loop {
        let kind = from_database.read_u8().await?;
        message(from_database).await?.context("the database hung up")?;
        if kind == b'Z' {
            return Ok(());
        }
    }
}

/// Reads a zero-terminated text in a message.
fn text(body: &[u8], from: usize) -> &[u8] {
    let rest = body.get(from..).unwrap_or_default();
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}
