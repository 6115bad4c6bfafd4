//! Keys of the submitter's accounts, from the environment: a key itself, or a keystore file with its password in another
//! file. A key is never logged, and no error holds one.

use std::path::Path;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;

/// Names of the variables of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyVariables {
    /// Private key, 32 bytes in hexadecimal.
    pub key: &'static str,
    /// Path of a keystore file, version 3.
    pub keystore: &'static str,
    /// Path of a file with the keystore's password; a line break at its end does not belong to it.
    pub password_file: &'static str,
}

/// Variables of the account that sends pulls.
pub const SENDER: KeyVariables = KeyVariables {
    key: "SUBMITTER_SENDER_KEY",
    keystore: "SUBMITTER_SENDER_KEYSTORE",
    password_file: "SUBMITTER_SENDER_PASSWORD_FILE",
};
/// Variables of the account whose signature the Spender accepts.
pub const DELEGATE: KeyVariables = KeyVariables {
    key: "SUBMITTER_DELEGATE_KEY",
    keystore: "SUBMITTER_DELEGATE_KEYSTORE",
    password_file: "SUBMITTER_DELEGATE_PASSWORD_FILE",
};

/// A key cannot be used. Each message names the variable.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("neither {key} nor {keystore} is set; give a keystore file, or for development a key")]
    Missing { key: &'static str, keystore: &'static str },
    #[error("both {key} and {keystore} are set; give one of them", key = .0.key, keystore = .0.keystore)]
    Both(KeyVariables),
    #[error("{0} is not a private key; give 32 bytes in hexadecimal")]
    NoKey(&'static str),
    #[error("{variable} is not set; name the file with the password of {keystore}")]
    NoPassword { variable: &'static str, keystore: &'static str },
    #[error("the file {path} of {variable} cannot be read ({why}); correct the path or its permissions")]
    Unreadable { variable: &'static str, path: String, why: String },
    #[error(
        "the keystore {path} of {variable} cannot be opened: it is of another form than version 3, or {password_file} holds the password of another"
    )]
    Locked { variable: &'static str, path: String, password_file: &'static str },
    #[error("{sender} and {delegate} are the same account, {account}: what a delegate sends by itself consumes no hash and could be pulled twice; give another sender", sender = SENDER.key, delegate = DELEGATE.key)]
    SameAccount { account: Address },
}

/// Both keys.
pub struct Keys {
    pub(super) sender: PrivateKeySigner,
    pub(super) delegate: PrivateKeySigner,
}

impl Keys {
    /// Reads the keys by the variables that `lookup` returns.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, KeyError> {
        let keys = Self { sender: SENDER.read(&lookup)?, delegate: DELEGATE.read(&lookup)? };
        if keys.sender.address() == keys.delegate.address() {
            return Err(KeyError::SameAccount { account: keys.sender.address() });
        }
        Ok(keys)
    }

    #[must_use]
    pub fn sender(&self) -> Address {
        self.sender.address()
    }

    #[must_use]
    pub fn delegate(&self) -> Address {
        self.delegate.address()
    }

    /// Returns the key of that account.
    pub(super) fn of(&self, account: Address) -> Option<&PrivateKeySigner> {
        [&self.sender, &self.delegate].into_iter().find(|key| key.address() == account)
    }
}

impl KeyVariables {
    fn read(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<PrivateKeySigner, KeyError> {
        let Self { key, keystore, .. } = *self;
        match (lookup(key), lookup(keystore)) {
            (None, None) => Err(KeyError::Missing { key, keystore }),
            (Some(_), Some(_)) => Err(KeyError::Both(*self)),
            (Some(text), None) => text.trim().parse().map_err(|_| KeyError::NoKey(key)),
            (None, Some(path)) => self.open(&path, lookup),
        }
    }

    fn open(
        &self,
        path: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<PrivateKeySigner, KeyError> {
        let Self { keystore, password_file, .. } = *self;
        let no_password = KeyError::NoPassword { variable: password_file, keystore };
        let password = read_file(password_file, &lookup(password_file).ok_or(no_password)?)?;
        // Tells a missing file from a wrong password.
        read_file(keystore, path)?;
        let locked = || KeyError::Locked { variable: keystore, path: path.to_owned(), password_file };
        PrivateKeySigner::decrypt_keystore(Path::new(path), password.trim_end_matches(['\r', '\n']))
            .map_err(|_| locked())
    }
}

fn read_file(variable: &'static str, path: &str) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|error| KeyError::Unreadable {
        variable,
        path: path.to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;

    const ONE: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";
    const TWO: &str = "0x0000000000000000000000000000000000000000000000000000000000000002";
    /// Made by another program: an example of the Web3 Secret Storage definition.
    const KEYSTORE: &str = r#"{
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
                          "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3
    }"#;
    const PASSWORD: &str = "testpassword";
    const ITS_KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    fn read(variables: &[(&'static str, &str)]) -> Result<Keys, KeyError> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Keys::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn error(variables: &[(&'static str, &str)]) -> String {
        let error = read(variables).err().expect("these variables cannot be used").to_string();
        for secret in [&ONE[2..], &TWO[2..], PASSWORD] {
            assert!(!error.contains(secret), "a secret in an error: {error}");
        }
        error
    }

    #[test]
    fn keys_come_from_the_environment() {
        let keys = read(&[(SENDER.key, ONE), (DELEGATE.key, &format!("{TWO}\n"))]).unwrap();
        assert_ne!(keys.sender(), keys.delegate());
        assert_eq!(keys.of(keys.sender()).unwrap().address(), keys.sender());
        assert!(keys.of(Address::ZERO).is_none());
    }

    #[test]
    fn a_key_comes_from_a_keystore() {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (keystore, password) = (file("key.json", KEYSTORE), file("password", &format!("{PASSWORD}\n")));
        let of_sender = |keystore: &str, password: &str| {
            let variables =
                [(SENDER.keystore, keystore), (SENDER.password_file, password), (DELEGATE.key, TWO)];
            read(&variables)
        };
        let keys = of_sender(&keystore, &password).unwrap();
        let expected: PrivateKeySigner = ITS_KEY.parse().unwrap();
        assert_eq!(keys.sender(), expected.address());

        let wrong = file("wrong", "another");
        let error = of_sender(&keystore, &wrong).err().unwrap().to_string();
        assert!(error.contains(SENDER.keystore) && error.contains(SENDER.password_file), "{error}");
        let error = of_sender(&password, &password).err().unwrap();
        assert!(matches!(error, KeyError::Locked { .. }), "{error}");
        let error = of_sender("/nowhere", &password).err().unwrap().to_string();
        assert!(error.contains("/nowhere of SUBMITTER_SENDER_KEYSTORE cannot be read"), "{error}");
        let error = of_sender(&keystore, "/nowhere").err().unwrap().to_string();
        assert!(error.contains("/nowhere of SUBMITTER_SENDER_PASSWORD_FILE cannot be read"), "{error}");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        assert!(error(&[]).starts_with("neither SUBMITTER_SENDER_KEY nor SUBMITTER_SENDER_KEYSTORE"));
        assert!(error(&[(SENDER.key, ONE)]).contains("SUBMITTER_DELEGATE_KEY"));
        let both = error(&[(SENDER.key, ONE), (SENDER.keystore, "x")]);
        assert!(both.starts_with("both SUBMITTER_SENDER_KEY and SUBMITTER_SENDER_KEYSTORE"), "{both}");
        assert!(error(&[(SENDER.key, "0x12")]).starts_with("SUBMITTER_SENDER_KEY is not a private key"));
        let unopened = error(&[(SENDER.keystore, "x")]);
        assert!(unopened.starts_with("SUBMITTER_SENDER_PASSWORD_FILE is not set"), "{unopened}");
        let same = error(&[(SENDER.key, ONE), (DELEGATE.key, ONE)]);
        assert!(same.contains("SUBMITTER_SENDER_KEY") && same.contains("pulled twice"), "{same}");
    }
}
