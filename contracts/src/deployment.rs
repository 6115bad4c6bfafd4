//! Deployment: the addresses of the contracts, and the transactions that deploy them. It changes nothing afterwards.

use std::fs;
use std::path::Path;

use alloy::primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolEvent, SolValue};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::abi::{EureV2, ModuleProxyFactory, Roles, Safe};
use crate::client::{Client, Party, eure};

/// keccak256("SPENDING_ROLE"), the value that Gnosis Pay uses.
pub(crate) const SPENDING_ROLE: B256 =
    b256!("349476e3982666749979c85ce800cd2947a4b8dc9fe20a01a00a1b526072a8a3");
/// keccak256("SPENDING_ALLOWANCE"), the value that Gnosis Pay uses.
const SPENDING_ALLOWANCE: B256 = b256!("fe687fc128d1915040376d20ccb1bf40d838ddd82bf9b0ba3da683cc2a251623");

const DAY_S: u64 = 86_400;
/// More than the generator can spend in a year, so that a demo never runs dry. The settlement Safe, which pays
/// refunds, is funded too.
const FUNDS_EURE: u64 = 10_000_000;
/// Below the funds, so that a test can exceed the limit.
const DAILY_LIMIT_EURE: u64 = 10_000_000;

/// Addresses of one set of contracts on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub chain_id: u64,
    pub eure_v1: Address,
    pub eure_v2: Address,
    pub validator: Address,
    pub spender: Address,
    /// Account whose signatures the Spender accepts. It sends no swipes itself.
    pub delegate: Address,
    pub spender_safe: Address,
    pub settlement: Address,
    pub module_factory: Address,
    pub roles_master_copy: Address,
    /// Contract that emits whatever a test wants. Not in the contract set; a test may list it there as a spender.
    pub oddities: Address,
    pub accounts: Vec<Account>,
}

/// Customer's account: the Safe that holds the money, and the module that limits the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub safe: Address,
    pub roles: Address,
}

/// Card's limit as its Roles module keeps it: what is left, and how it refills with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Amount that can be spent now.
    pub balance: u128,
    /// Balance up to which a refill lifts it.
    pub max_refill: u128,
    /// Amount that each period adds.
    pub refill: u128,
    /// Length of a period in seconds; 0 means that it never refills.
    pub period_s: u64,
}

impl Limit {
    /// Encodes the call that sets this limit, with a first period that begins now.
    pub(crate) fn encode(self) -> Vec<u8> {
        let Self { balance, max_refill, refill, period_s } = self;
        let (key, timestamp) = (SPENDING_ALLOWANCE, 0);
        Roles::setAllowanceCall { key, balance, maxRefill: max_refill, refill, period: period_s, timestamp }
            .abi_encode()
    }
}

impl Deployment {
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a deployment", path.display()))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    pub fn account(&self, index: usize) -> Result<Account> {
        let count = self.accounts.len();
        self.accounts.get(index).copied().with_context(|| format!("there is no account {index} of {count}"))
    }

    /// Returns the contract set in the form of the host's configuration.
    pub fn contract_set(&self) -> serde_json::Value {
        json!({
            "chain_id": self.chain_id,
            "first_block": 0,
            "assets": [{"asset": "EURe", "decimals": 18, "canonical": self.eure_v2, "mirror": self.eure_v1}],
            "spenders": [{"address": self.spender, "from_block": 0}],
            "settlement": [self.settlement],
            "accounts": self.accounts,
        })
    }

    pub fn write_contract_set(&self, path: &Path) -> Result<()> {
        write_json(path, &self.contract_set())
    }

    /// Returns the hash that a delegate signs for the Spender to execute `call`; the same as `Spender.moduleTxHash`.
    pub(crate) fn module_tx_hash(&self, call: &[u8], salt: B256) -> B256 {
        let domain_type = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
        let domain = keccak256((domain_type, U256::from(self.chain_id), self.spender).abi_encode());
        let module_tx_type = keccak256("ModuleTx(bytes data,bytes32 salt)");
        let module_tx = keccak256((module_tx_type, keccak256(call), salt).abi_encode());
        keccak256([&[0x19, 0x01], domain.as_slice(), module_tx.as_slice()].concat())
    }

    /// Fails unless these contracts are on the chain.
    pub(crate) async fn check(&self, client: &Client) -> Result<()> {
        if client.chain_id != self.chain_id {
            let (node, deployment) = (client.chain_id, self.chain_id);
            bail!("the node is on chain {node}, the deployment on {deployment}: name another node");
        }
        if client.provider.get_code_at(self.spender).await?.is_empty() {
            bail!("the contracts of this deployment are not on the chain: run `devchain deploy`");
        }
        Ok(())
    }
}

pub(crate) async fn deploy(client: &Client, artifacts: &Path, accounts: usize) -> Result<Deployment> {
    let deployer = Deployer { client, artifacts };
    let mut deployment = deployer.shared().await?;
    for index in 0..accounts {
        let account = deployer.account(&deployment, index).await?;
        deployment.accounts.push(account);
    }
    Ok(deployment)
}

/// Writes a pretty-printed JSON file.
fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, format!("{text}\n")).with_context(|| format!("cannot write {}", path.display()))
}

struct Deployer<'a> {
    client: &'a Client,
    artifacts: &'a Path,
}

impl Deployer<'_> {
    /// Deploys the contracts that all accounts share.
    async fn shared(&self) -> Result<Deployment> {
        let (operator, delegate) = (self.client.operator, Party::Delegate.address()?);
        let validator = self.create("Validator", ()).await?;
        let eure_v2 = self.create("EUReV2", validator).await?;
        let spender_safe = self.create("SafeL2", operator).await?;
        let spender = self.create("Spender", (spender_safe, delegate)).await?;
        let deployment = Deployment {
            chain_id: self.client.chain_id,
            eure_v1: self.client.read(eure_v2, EureV2::v1Call {}).await?,
            eure_v2,
            validator,
            spender,
            delegate,
            spender_safe,
            settlement: self.create("Safe", operator).await?,
            module_factory: self.create("ModuleProxyFactory", ()).await?,
            roles_master_copy: self.create("Roles", ()).await?,
            oddities: self.create("Oddities", ()).await?,
            accounts: Vec::new(),
        };
        self.batch(
            spender_safe,
            vec![(spender_safe, Safe::enableModuleCall { module: spender }.abi_encode())],
        )
        .await?;
        self.fund(eure_v2, deployment.settlement).await?;
        Ok(deployment)
    }

    /// Opens one customer's account: a Safe with its Roles module, the card's limit, and money to spend.
    async fn account(&self, on: &Deployment, index: usize) -> Result<Account> {
        let safe = self.create("Safe", self.client.operator).await?;
        let roles = self.roles_module(on, safe, index).await?;
        let limit = u128::try_from(eure(DAILY_LIMIT_EURE))?;
        let member = Roles::assignRolesCall {
            module: on.spender_safe,
            roleKeys: vec![SPENDING_ROLE],
            memberOf: vec![true],
        };
        let scope = Roles::scopeTransferCall {
            roleKey: SPENDING_ROLE,
            token: on.eure_v1,
            receiver: on.settlement,
            allowanceKey: SPENDING_ALLOWANCE,
        };
        let limit = Limit { balance: limit, max_refill: limit, refill: limit, period_s: DAY_S };
        let set_up = vec![
            (safe, Safe::enableModuleCall { module: roles }.abi_encode()),
            (roles, member.abi_encode()),
            (roles, scope.abi_encode()),
            (roles, limit.encode()),
        ];
        self.batch(safe, set_up).await?;
        self.fund(on.eure_v2, safe).await?;
        Ok(Account { safe, roles })
    }

    async fn roles_module(&self, on: &Deployment, safe: Address, index: usize) -> Result<Address> {
        let call = ModuleProxyFactory::deployModuleCall {
            masterCopy: on.roles_master_copy,
            initializer: Roles::setUpCall { avatar: safe }.abi_encode().into(),
            saltNonce: U256::from(index),
        };
        let hash = self.client.send(self.client.operator, on.module_factory, call.abi_encode()).await?;
        let receipt = self.client.mined_now(hash).await?;
        let log = receipt.logs().last().context("the factory logged nothing")?;
        Ok(ModuleProxyFactory::ModuleProxyCreation::decode_log(&log.inner)?.proxy)
    }

    async fn fund(&self, token: Address, to: Address) -> Result<()> {
        let call = EureV2::mintCall { to, amount: eure(FUNDS_EURE) };
        let hash = self.client.send(self.client.operator, token, call.abi_encode()).await?;
        self.client.mined_now(hash).await?;
        Ok(())
    }

    async fn batch(&self, safe: Address, calls: Vec<(Address, Vec<u8>)>) -> Result<()> {
        let hash = self.client.send(self.client.operator, safe, exec_batch(calls)).await?;
        self.client.mined_now(hash).await?;
        Ok(())
    }

    async fn create(&self, contract: &str, arguments: impl SolValue) -> Result<Address> {
        let mut code = bytecode(self.artifacts, contract)?.to_vec();
        // Constructor arguments are only ever addresses, for which this encoding is the right one.
        code.extend(arguments.abi_encode());
        self.client.create(code).await.with_context(|| format!("cannot deploy {contract}"))
    }
}

/// Encodes the call by which a Safe's owner makes it execute all of `calls`.
pub(crate) fn exec_batch(calls: Vec<(Address, Vec<u8>)>) -> Vec<u8> {
    let calls = calls.into_iter().map(|(to, data)| Safe::Call { to, data: data.into() }).collect();
    Safe::execBatchCall { calls }.abi_encode()
}

fn bytecode(artifacts: &Path, contract: &str) -> Result<Bytes> {
    #[derive(Deserialize)]
    struct Artifact {
        bytecode: Bytes,
    }
    let path = artifacts.join(format!("{contract}.json"));
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: compile the contracts first", path.display()))?;
    let artifact: Artifact = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a compiled contract: compile again", path.display()))?;
    Ok(artifact.bytecode)
}
