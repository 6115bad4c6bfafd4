//! A wire between the host and its database that breaks while an append is on its way.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
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
        let wire = Arc::new(Wire { upstream, next: Mutex::default(), cuts: AtomicU64::new(0) });
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
    let database = TcpStream::connect(&wire.upstream).await?;
    // Its pieces are small; none waits for the next.
    host.set_nodelay(true)?;
    database.set_nodelay(true)?;
    let (from_host, mut to_host) = host.into_split();
    let (mut from_database, to_database) = database.into_split();
    let cut = tokio::select! {
        cut = pass_on(from_host, to_database, wire) => cut?,
        // The database has ended the connection.
        _ = tokio::io::copy(&mut from_database, &mut to_host) => return Ok(()),
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
    let mut appends = BTreeSet::new();
    let mut cut = None;
    // The first message has no kind.
    let mut kind = None;
    while let Some((length, body)) = message(&mut from_host).await? {
        match kind {
            Some(b'P') if holds(&body, b"append_batch") => {
                appends.insert(text(&body, 0).to_vec());
            }
            // The portal's name, then the statement's.
            Some(b'B') if appends.contains(text(&body, text(&body, 0).len() + 1)) => {
                cut = wire.next.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
            _ => {}
        }
        to_database.write_all(&length).await?;
        if cut == Some(Cut::InTheMiddle) {
            to_database.write_all(&body[..body.len() / 2]).await?;
            return Ok(cut.map(|cut| (cut, to_database)));
        }
        to_database.write_all(&body).await?;
        if let (Some(cut), Some(b'S')) = (cut, kind) {
            return Ok(Some((cut, to_database)));
        }
        match from_host.read_u8().await {
            Ok(next) => {
                to_database.write_u8(next).await?;
                kind = Some(next);
            }
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
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

fn holds(body: &[u8], word: &[u8]) -> bool {
    body.windows(word.len()).any(|window| window == word)
}
