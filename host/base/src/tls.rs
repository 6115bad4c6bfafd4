//! Cryptography of TLS connections: ring's, for the whole process. It opens no connection.

/// Makes ring the default of rustls, unless the process has a default already. Call it before an HTTP client is built:
/// reqwest brings no cryptography of its own, and refuses to build a client without one.
pub fn install() {
    // The error says that a default is installed already, which is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
}

#[cfg(test)]
mod tests {
    /// rustls finds a default by itself only if it was compiled with exactly one cryptography. wasmtime-wasi-http relies
    /// on that for each HTTPS request of a component; with two, the request panics.
    #[test]
    fn rustls_was_compiled_with_one_cryptography() {
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        assert!(!config.crypto_provider().cipher_suites.is_empty());
    }
}
