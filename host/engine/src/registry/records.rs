//! Rows of the registry. They are written once; only the signature of a component may be replaced later.

use clearfold_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::{Handler, RegistryError};
use crate::command::Trial;
use clearfold_base::database::{DatabaseError, signed, timestamp, unsigned};
use clearfold_base::digest::Digest;
use clearfold_base::signature::{Signed, Signers};
use clearfold_sandbox::ComponentKind;

/// Tables of the registry in the write store.
#[derive(Clone)]
pub struct Registry {
    pool: PgPool,
}

/// Component to be stored in the registry.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Name of its file, for people.
    pub name: String,
    pub handler: Handler,
    pub wit_version: Option<String>,
    pub imports: Vec<String>,
    pub source_revision: Option<String>,
    pub deployed_by: String,
    pub signed: Option<Signed>,
}

/// Deployed component, without its bytes.
#[derive(Debug, Clone)]
pub struct ComponentRecord {
    pub digest: Digest,
    pub name: String,
    pub kind: ComponentKind,
    /// Handler that it was first deployed for; none if it was stored before there was a registry.
    pub handler: Option<Handler>,
    pub wit_version: Option<String>,
    pub imports: Vec<String>,
    pub source_revision: Option<String>,
    pub deployed_by: String,
    pub deployed_at: Timestamp,
    pub signer: Option<Vec<u8>>,
    pub size_bytes: u64,
}

/// Cause of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationCause {
    /// Start of a host whose manifest named a new file.
    Start,
    Activate,
    Rollback,
    Canary,
    CanaryEnd,
    AutomaticRollback,
    /// The saga begins no step any more.
    Pause,
    /// The saga begins steps again.
    Resume,
    /// Instances of the saga that began on another version are decided by the one in force.
    Migrate,
}

/// Recorded activation of a component for a handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    pub activation: u64,
    pub handler: Handler,
    pub digest: Digest,
    pub cause: ActivationCause,
    pub why: Option<String>,
    pub by: String,
    pub at: Timestamp,
    pub family: Option<Digest>,
    pub trial: Option<Trial>,
    pub shadow: Option<Value>,
    /// Version whose instances the activation moves to the one in force.
    pub moved_from: Option<Digest>,
}

/// Activation to be recorded. It is refused if `newest`, the handler's newest activation that its maker knew, is no
/// longer the newest.
#[derive(Debug, Clone)]
pub struct NewActivation {
    pub handler: Handler,
    pub newest: u64,
    pub digest: Digest,
    pub cause: ActivationCause,
    pub why: Option<String>,
    pub by: String,
    pub family: Option<Digest>,
    pub trial: Option<Trial>,
    pub shadow: Option<Value>,
    pub moved_from: Option<Digest>,
}

/// Place in a partition from which on an activation is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub activation: u64,
    pub partition: u32,
    /// Sequence of the last command, and below it the position of the last event, before it is in force.
    pub after_sequence: u64,
    pub after_position: u64,
}

impl ActivationCause {
    pub const ALL: [Self; 9] = [
        Self::Start,
        Self::Activate,
        Self::Rollback,
        Self::Canary,
        Self::CanaryEnd,
        Self::AutomaticRollback,
        Self::Pause,
        Self::Resume,
        Self::Migrate,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Activate => "activate",
            Self::Rollback => "rollback",
            Self::Canary => "canary",
            Self::CanaryEnd => "canary_end",
            Self::AutomaticRollback => "automatic_rollback",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Migrate => "migrate",
        }
    }
}

impl Registry {
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Stores a component. If it was deployed before, its record stays as it is, except for the signature: keys are
    /// exchanged, and a component that ran before signatures were required is signed later.
    pub async fn keep(&self, wasm: &[u8], deployment: &Deployment) -> Result<Digest, RegistryError> {
        let digest = Digest::of(wasm);
        let kept = sqlx::query!(
            "INSERT INTO components (digest, name, wasm, kind, handler, wit_version, imports, source_revision,
                                     deployed_by, signer, signature)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (digest) DO UPDATE SET
                 handler = COALESCE(components.handler, excluded.handler),
                 wit_version = CASE WHEN components.handler IS NULL
                                    THEN excluded.wit_version ELSE components.wit_version END,
                 imports = CASE WHEN components.handler IS NULL THEN excluded.imports ELSE components.imports END,
                 signer = COALESCE(excluded.signer, components.signer),
                 signature = COALESCE(excluded.signature, components.signature)
             WHERE components.handler IS NULL OR excluded.signature IS DISTINCT FROM components.signature
                 AND excluded.signature IS NOT NULL",
            &digest.0[..],
            deployment.name,
            wasm,
            deployment.handler.kind.as_str(),
            deployment.handler.name,
            deployment.wit_version,
            &deployment.imports,
            deployment.source_revision,
            deployment.deployed_by,
            deployment.signed.as_ref().map(|signed| &signed.signer.0[..]),
            deployment.signed.as_ref().map(|signed| &signed.signature[..]),
        );
        kept.execute(&self.pool).await?;
        Ok(digest)
    }

    /// Returns the name of a component's file and its bytes, if the bytes have their digest and the required
    /// signature. This is the only way to a component's bytes, so that none runs unsigned.
    pub async fn wasm(&self, digest: Digest, signers: &Signers) -> Result<(String, Vec<u8>), RegistryError> {
        let row =
            sqlx::query!("SELECT name, wasm, signature FROM components WHERE digest = $1", &digest.0[..]);
        let row = row.fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| RegistryError::Unknown(digest.to_string()))?;
        if Digest::of(&row.wasm) != digest {
            return Err(corrupt(format!("the bytes of the component {digest} were changed")));
        }
        signers.check(&row.name, &row.wasm, row.signature.as_deref())?;
        Ok((row.name, row.wasm))
    }

    /// Returns all components, in the order in which they were deployed.
    pub async fn components(&self) -> Result<Vec<ComponentRecord>, RegistryError> {
        let rows = sqlx::query_as!(
            ComponentRow,
            r#"SELECT digest, name, kind, handler, wit_version, imports, source_revision, deployed_by, deployed_at,
                      signer, octet_length(wasm) AS "size!" FROM components ORDER BY deployed_at, digest"#
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(ComponentRecord::try_from).collect()
    }

    /// Finds the one component whose digest begins with these characters.
    pub async fn find(&self, prefix: &str) -> Result<ComponentRecord, RegistryError> {
        let prefix = prefix.to_ascii_lowercase();
        let is_hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(6..=64).contains(&prefix.len()) {
            return Err(RegistryError::NotADigest(prefix));
        }
        let rows = sqlx::query_as!(
            ComponentRow,
            r#"SELECT digest, name, kind, handler, wit_version, imports, source_revision, deployed_by, deployed_at,
                      signer, octet_length(wasm) AS "size!" FROM components
               WHERE starts_with(encode(digest, 'hex'), $1)"#,
            prefix
        );
        let mut rows = rows.fetch_all(&self.pool).await?;
        let count = rows.len();
        match (rows.pop(), count) {
            (Some(row), 1) => row.try_into(),
            (Some(_), _) => Err(RegistryError::Ambiguous { prefix, count }),
            (None, _) => Err(RegistryError::Unknown(prefix)),
        }
    }

    /// Returns the activations after the one with this number, in their order; 0 means all.
    pub async fn activations(&self, after: u64) -> Result<Vec<Activation>, RegistryError> {
        let rows = sqlx::query_as!(
            ActivationRow,
            "SELECT activation, kind, handler, component_digest, cause, why, activated_by, activated_at, state_family,
                    canary_permille, max_faults, max_differences, shadow, moved_from
             FROM activations WHERE activation > $1 ORDER BY activation",
            signed(after)?
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(Activation::try_from).collect()
    }

    /// Records an activation and returns its number.
    pub async fn activate(&self, new: &NewActivation) -> Result<u64, RegistryError> {
        let made = sqlx::query_scalar!(
            "SELECT activate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            new.handler.kind.as_str(),
            new.handler.name,
            signed(new.newest)?,
            &new.digest.0[..],
            new.cause.as_str(),
            new.why,
            new.by,
            new.family.as_ref().map(|family| &family.0[..]),
            new.trial.map(|trial| i32::from(trial.permille)),
            new.trial.map(|trial| signed(trial.max_faults)).transpose()?,
            new.trial.map(|trial| signed(trial.max_differences)).transpose()?,
            new.shadow,
            new.moved_from.as_ref().map(|from| &from.0[..]),
        );
        let made = made.fetch_one(&self.pool).await.map_err(|error| new.refusal(error))?;
        let made = made.ok_or_else(|| corrupt("activate() returned no number".to_owned()))?;
        Ok(unsigned(made)?)
    }

    /// Returns the points of all activations, by activation and partition.
    pub async fn points(&self) -> Result<Vec<Point>, RegistryError> {
        let rows = sqlx::query_as!(
            PointRow,
            "SELECT activation, partition, after_sequence, after_position FROM activation_points
             ORDER BY activation, partition"
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(Point::try_from).collect()
    }

    /// Returns the points of one activation, for the partitions in which it is in force so far.
    pub async fn points_of(&self, activation: u64) -> Result<Vec<Point>, RegistryError> {
        let rows = sqlx::query_as!(
            PointRow,
            "SELECT activation, partition, after_sequence, after_position FROM activation_points
             WHERE activation = $1 ORDER BY partition",
            signed(activation)?
        );
        rows.fetch_all(&self.pool).await?.into_iter().map(Point::try_from).collect()
    }

    /// Records the points of an activation of a handler without a lease, a projector: its position in each partition.
    pub async fn begin(&self, activation: u64, positions: &[u64]) -> Result<(), RegistryError> {
        let positions: Vec<i64> =
            positions.iter().map(|position| signed(*position)).collect::<Result<_, _>>()?;
        let begun = sqlx::query!(
            "INSERT INTO activation_points (partition, activation, after_sequence, after_position)
             SELECT nth - 1, $1, 0, position FROM UNNEST($2::bigint[]) WITH ORDINALITY AS place(position, nth)
             ON CONFLICT DO NOTHING",
            signed(activation)?,
            &positions,
        );
        begun.execute(&self.pool).await?;
        Ok(())
    }
}

impl NewActivation {
    /// Names the rule by which the database refused it.
    fn refusal(&self, error: sqlx::Error) -> RegistryError {
        let refused = error.as_database_error();
        let code = refused.and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        let (handler, message) = (self.handler.clone(), refused.map(|refused| refused.message().to_owned()));
        match &*code {
            "CF004" => RegistryError::ChangedMeanwhile { handler, why: message.unwrap_or_default() },
            "CF005" => RegistryError::MovedAway { handler, digest: self.digest },
            _ => error.into(),
        }
    }
}

/// Row of `components`.
struct ComponentRow {
    digest: Vec<u8>,
    name: String,
    kind: String,
    handler: Option<String>,
    wit_version: Option<String>,
    imports: Vec<String>,
    source_revision: Option<String>,
    deployed_by: String,
    deployed_at: OffsetDateTime,
    signer: Option<Vec<u8>>,
    size: i32,
}

impl TryFrom<ComponentRow> for ComponentRecord {
    type Error = RegistryError;

    fn try_from(row: ComponentRow) -> Result<Self, RegistryError> {
        let kind = kind(&row.kind)?;
        Ok(Self {
            digest: digest(&row.digest)?,
            name: row.name,
            kind,
            handler: row.handler.map(|name| Handler { kind, name }),
            wit_version: row.wit_version,
            imports: row.imports,
            source_revision: row.source_revision,
            deployed_by: row.deployed_by,
            deployed_at: timestamp(row.deployed_at)?,
            signer: row.signer,
            size_bytes: unsigned(row.size.into())?,
        })
    }
}

/// Row of `activation_points`.
struct PointRow {
    activation: i64,
    partition: i32,
    after_sequence: i64,
    after_position: i64,
}

impl TryFrom<PointRow> for Point {
    type Error = RegistryError;

    fn try_from(row: PointRow) -> Result<Self, RegistryError> {
        let partition =
            u32::try_from(row.partition).map_err(|_| corrupt(format!("partition {}", row.partition)))?;
        Ok(Self {
            activation: unsigned(row.activation)?,
            partition,
            after_sequence: unsigned(row.after_sequence)?,
            after_position: unsigned(row.after_position)?,
        })
    }
}

/// Row of `activations`.
struct ActivationRow {
    activation: i64,
    kind: String,
    handler: String,
    component_digest: Vec<u8>,
    cause: String,
    why: Option<String>,
    activated_by: String,
    activated_at: OffsetDateTime,
    state_family: Option<Vec<u8>>,
    canary_permille: Option<i32>,
    max_faults: Option<i64>,
    max_differences: Option<i64>,
    shadow: Option<Value>,
    moved_from: Option<Vec<u8>>,
}

impl TryFrom<ActivationRow> for Activation {
    type Error = RegistryError;

    fn try_from(row: ActivationRow) -> Result<Self, RegistryError> {
        let cause = ActivationCause::ALL.into_iter().find(|cause| cause.as_str() == row.cause);
        let trial = match (row.canary_permille, row.max_faults, row.max_differences) {
            (Some(permille), Some(max_faults), Some(max_differences)) => Some(Trial {
                permille: u16::try_from(permille)
                    .map_err(|_| corrupt(format!("a canary on {permille} of a thousand accounts")))?,
                max_faults: unsigned(max_faults)?,
                max_differences: unsigned(max_differences)?,
            }),
            _ => None,
        };
        Ok(Self {
            activation: unsigned(row.activation)?,
            handler: Handler { kind: kind(&row.kind)?, name: row.handler },
            digest: digest(&row.component_digest)?,
            cause: cause.ok_or_else(|| corrupt(format!("`{}` is no cause of an activation", row.cause)))?,
            why: row.why,
            by: row.activated_by,
            at: timestamp(row.activated_at)?,
            family: row.state_family.map(|family| digest(&family)).transpose()?,
            trial,
            shadow: row.shadow,
            moved_from: row.moved_from.map(|from| digest(&from)).transpose()?,
        })
    }
}

fn kind(word: &str) -> Result<ComponentKind, RegistryError> {
    word.parse().map_err(|error: clearfold_sandbox::UnknownKind| corrupt(error.to_string()))
}

fn digest(bytes: &[u8]) -> Result<Digest, RegistryError> {
    Ok(Digest(bytes.try_into().map_err(|_| corrupt(format!("a digest of {} bytes", bytes.len())))?))
}

fn corrupt(why: String) -> RegistryError {
    DatabaseError::Corrupt(why).into()
}
