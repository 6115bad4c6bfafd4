//! A wire between the host and its database that breaks, or falls silent, while something is on its way.

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

/// Where the wire breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The first half of the append arrives.
    InTheMiddle,
    /// All of it arrives; nobody waits for what comes of it.
    BehindIt,
    /// It is committed, and the answer does not arrive.
    BeforeTheAnswer,
}

/// Where the wire falls silent: nothing passes any more, on no connection, and nobody hangs up. Nor does anybody on a
/// connection that is made meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// What the host asks before it decides does not arrive.
    AtTheLookup,
    /// The append does not arrive.
    AtTheAppend,
    /// The append arrives and is committed; the answer does not.
    AtTheAnswer,
}

/// A statement at whose beginning something may happen to the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statement {
    Lookup,
    Append,
}

/// The wire. It ends when it is dropped.
pub struct Proxy {
    /// The database's URL through it.
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
    /// In front of the server of a database.
    pub async fn start(database_url: &str) -> Result<Self> {
        let mut url: Url = database_url.parse()?;
        let upstream = format!("{}:{}", url.host_str().context("no host")?, url.port().context("no port")?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        url.set_port(Some(listener.local_addr()?.port())).ok().context("no port")?;
        // It reads the messages, so they may not be encrypted.
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

    /// Breaks the next append's connection.
    pub fn cut(&self, cut: Cut) {
        *self.wire.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// How many connections it broke.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.wire.cuts.load(Ordering::Relaxed)
    }

    /// Falls silent at the next statement of that kind.
    pub fn fall_silent(&self, silence: Silence) {
        *self.wire.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(silence);
    }

    /// Passes on again what comes and what has waited. The connection on which it fell silent stays silent.
    pub fn speak(&self) {
        self.wire.speaks.send_replace(true);
    }

    /// How many connections on which it fell silent the host has hung up.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.wire.given_up.load(Ordering::Relaxed)
    }
}

impl Wire {
    /// Waits until it is not silent.
    async fn spoken(&self) {
        // It fails only when the sender is gone, which is here.
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
    /// By what stands in a message that prepares it.
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
        // A connection that fails is a broken one, which is all that a wire can be.
        connections.spawn(async move { connect(host, &wire).await.ok() });
    }
}

async fn connect(host: TcpStream, wire: &Wire) -> Result<()> {
    wire.spoken().await;
    let database = TcpStream::connect(&wire.upstream).await?;
    // Its pieces are small; none waits for the next.
    host.set_nodelay(true)?;
    database.set_nodelay(true)?;
    let (from_host, mut to_host) = host.into_split();
    let (mut from_database, to_database) = database.into_split();
    let cut = tokio::select! {
        cut = pass_on(from_host, to_database, wire) => cut?,
        // The database has ended the connection.
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

/// Passes on what the host says, message by message, up to an append that is to be cut off. None: it has hung up.
async fn pass_on(
    mut from_host: OwnedReadHalf,
    mut to_database: OwnedWriteHalf,
    wire: &Wire,
) -> Result<Option<(Cut, OwnedWriteHalf)>> {
    let mut statements = BTreeMap::new();
    let (mut cut, mut silence) = (None, None);
    // The first message has no kind.
    let mut kind = None;
    while let Some((length, body)) = message(&mut from_host).await? {
        match kind {
            Some(b'P') => {
                if let Some(statement) = Statement::of(&body) {
                    statements.insert(text(&body, 0).to_vec(), statement);
                }
            }
            // The portal's name, then the statement's.
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
            // The answer will be held back as everything else is.
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

/// Lets nothing pass of what the host says, until it hangs up.
async fn unheard<T>(mut from_host: OwnedReadHalf, wire: &Wire) -> Result<Option<T>> {
    let mut buffer = vec![0; 16 << 10];
    while from_host.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    wire.given_up.fetch_add(1, Ordering::Relaxed);
    Ok(None)
}

/// Passes back what the database says, until it hangs up.
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

/// A message without its kind: its length as it was sent, and what follows. None: nothing more comes.
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

/// Waits until the database is ready for the next statement: then this one is committed, or refused.
async fn committed(from_database: &mut OwnedReadHalf) -> Result<()> {
    loop {
        let kind = from_database.read_u8().await?;
        message(from_database).await?.context("the database hung up")?;
        if kind == b'Z' {
            return Ok(());
        }
    }
}

/// The text in a message that begins at a place and ends with a zero.
fn text(body: &[u8], from: usize) -> &[u8] {
    let rest = body.get(from..).unwrap_or_default();
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}
