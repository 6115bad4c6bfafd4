//! A log as a specification writes it: an event's signature with its arguments, or raw topics and data.

use clearfold_kernel::{Address, Hash};
use serde::Deserialize;
use serde_json::Value;
use sha3::{Digest, Keccak256};

/// Encoded log.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct WrittenLog {
    pub emitter: Address,
    pub log_index: Option<u64>,
    pub topics: Vec<Hash>,
    pub data: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    emitter: Address,
    log_index: Option<u64>,
    /// Event signature, such as `Transfer(address indexed, address indexed, uint256)`.
    event: Option<String>,
    arguments: Option<Vec<Value>>,
    /// Hashes; a signature stands for its hash.
    topics: Option<Vec<String>>,
    data: Option<String>,
}

impl TryFrom<Written> for WrittenLog {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { emitter, log_index, event, arguments, topics, data } = written;
        let (topics, data) = match (event, arguments, topics, data) {
            (Some(event), Some(arguments), None, None) => encoded(&event, &arguments)?,
            (None, None, Some(topics), Some(data)) => {
                (topics.iter().map(|topic| raw_topic(topic)).collect::<Result<_, _>>()?, bytes(&data)?)
            }
            _ => {
                return Err(
                    "a log must have either `event`, a signature, with `arguments`, or `topics` with `data`"
                        .to_owned(),
                );
            }
        };
        Ok(Self { emitter, log_index, topics, data })
    }
}

/// Encodes the topics and the data of an event whose parameter types take one word each.
fn encoded(signature: &str, arguments: &[Value]) -> Result<(Vec<Hash>, Vec<u8>), String> {
    let parameters = parse(signature)?.1;
    if parameters.len() != arguments.len() {
        let (parameters, arguments) = (parameters.len(), arguments.len());
        return Err(format!(
            "`{signature}` has {parameters} parameters, but {arguments} arguments are given"
        ));
    }
    let (mut topics, mut data) = (vec![topic(signature)?], Vec::new());
    for (Parameter { kind, indexed }, argument) in parameters.into_iter().zip(arguments) {
        let word = word(kind, argument).ok_or_else(|| {
            format!(
                "{argument} is no {kind}: an address, bytes32, bool or uintN has its argument written out; \
                 for other types give `topics` and `data`"
            )
        })?;
        if indexed { topics.push(Hash(word)) } else { data.extend(word) }
    }
    Ok((topics, data))
}

struct Parameter<'a> {
    kind: &'a str,
    indexed: bool,
}

/// Parses a signature into the event's name and parameters. Parameter names are ignored.
fn parse(signature: &str) -> Result<(&str, Vec<Parameter<'_>>), String> {
    let parts = signature.strip_suffix(')').and_then(|open| open.split_once('('));
    let (name, parameters) = parts.ok_or_else(|| {
        format!("`{signature}` is no signature like `Transfer(address indexed, address indexed, uint256)`")
    })?;
    let parameters = parameters.split(',').map(str::split_whitespace).filter_map(|mut words| {
        let kind = words.next()?;
        Some(Parameter { kind, indexed: words.next() == Some("indexed") })
    });
    Ok((name.trim(), parameters.collect()))
}

/// Returns the hash of an event's canonical signature: its first topic.
fn topic(signature: &str) -> Result<Hash, String> {
    let (name, parameters) = parse(signature)?;
    let kinds: Vec<&str> = parameters.iter().map(|parameter| parameter.kind).collect();
    Ok(Hash(Keccak256::digest(format!("{name}({})", kinds.join(","))).into()))
}

fn raw_topic(text: &str) -> Result<Hash, String> {
    if text.contains('(') { topic(text) } else { text.parse().map_err(|error| format!("{error}")) }
}

fn word(kind: &str, argument: &Value) -> Option<[u8; 32]> {
    let mut word = [0; 32];
    match kind {
        "address" => word[12..].copy_from_slice(&argument.as_str()?.parse::<Address>().ok()?.0),
        "bytes32" => word = argument.as_str()?.parse::<Hash>().ok()?.0,
        "bool" => word[31] = argument.as_bool()?.into(),
        _ => {
            let bits: usize = kind.strip_prefix("uint")?.parse().ok()?;
            let unused = 32_usize.checked_sub(bits / 8).filter(|_| bits > 0 && bits.is_multiple_of(8))?;
            let digits = argument.as_u64().map(|number| number.to_string());
            word = number(digits.as_deref().or(argument.as_str())?)?;
            word[..unused].iter().all(|byte| *byte == 0).then_some(())?;
        }
    }
    Some(word)
}

/// Converts decimal digits to 256 bits; `None` if they do not fit.
fn number(digits: &str) -> Option<[u8; 32]> {
    let mut word = [0_u8; 32];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10)?;
        for byte in word.iter_mut().rev() {
            carry += u32::from(*byte) * 10;
            *byte = u8::try_from(carry % 256).ok()?;
            carry /= 256;
        }
        (carry == 0).then_some(())?;
    }
    (!digits.is_empty()).then_some(word)
}

fn bytes(data: &str) -> Result<Vec<u8>, String> {
    let digits = data.strip_prefix("0x").unwrap_or(data);
    hex::decode(digits).map_err(|error| format!("`data` is not hexadecimal: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FROM: &str = "0x4822521e6135cd2599199c83ea35179229a172ee";

    #[test]
    fn a_transfer_is_encoded_as_a_token_logs_it() {
        let signature = "Transfer(address indexed from, address indexed, uint256)";
        let (topics, data) = encoded(signature, &[json!(FROM), json!(FROM), json!("8500")]).unwrap();
        let padded = format!("0x000000000000000000000000{}", &FROM[2..]);
        let transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        let topics: Vec<String> = topics.iter().map(Hash::to_string).collect();
        assert_eq!(topics, [transfer, &padded, &padded]);
        assert_eq!(hex::encode(data), format!("{:064x}", 8500));
    }

    #[test]
    fn the_largest_number_of_a_type_fits_and_the_next_does_not() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(word("uint256", &json!(largest)), Some([0xff; 32]));
        assert_eq!(word("uint256", &json!(largest.replace("935", "936"))), None);
        assert_eq!(word("uint8", &json!(255)).map(|word| word[31]), Some(255));
        for (kind, argument) in [
            ("uint8", json!(256)),
            ("uint256", json!("-1")),
            ("uint256", json!("")),
            ("uint", json!(1)),
            ("uint264", json!(1)),
            ("address", json!("0x12")),
            ("string", json!("x")),
            ("bool", json!(1)),
        ] {
            assert_eq!(word(kind, &argument), None, "{kind} {argument}");
        }
    }

    #[test]
    fn a_signature_that_does_not_fit_its_arguments_is_refused() {
        for (signature, said) in
            [("Transfer", "no signature"), ("Spend(address)", "1 parameters, but 0 arguments")]
        {
            let error = encoded(signature, &[]).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
