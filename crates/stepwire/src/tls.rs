//! TLS: the certificate that the node shows, and what it asks of those that devices show.
//!
//! The handshake proves that a client holds the key of the certificate it shows, and that the
//! certificate is in its time. Whether that certificate may connect is the registry's word, by its
//! id ([`crate::ca::certificate_id`]), as in AWS IoT: a registered certificate needs no chain.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ca::{Authority, ServerIdentity};

/// The server's certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The PEM text holds no such thing.
    #[error("cannot read the server's certificate or key")]
    Pem(#[from] pem::Error),
    /// Certificate and key do not fit, or the key's kind is not supported.
    #[error("cannot use the server's certificate")]
    Tls(#[from] rustls::Error),
}

/// The certificate a server shows. It can be replaced while connections are accepted.
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows `identity`.
    pub fn new(identity: &ServerIdentity) -> Result<Shown, Error> {
        Ok(Shown(RwLock::new(certified(identity)?)))
    }

    /// The certificate that it shows, DER.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.cert.first().map(|certificate| certificate.to_vec())
    }

    /// Shows `identity` to every client from now on.
    pub fn replace(&self, identity: &ServerIdentity) -> Result<(), Error> {
        let key = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Replaces the shown certificate in good time before it ends, looking once a day; without end.
/// `failed` is told when a new one cannot be made; the old one stays, and tomorrow is another day.
pub async fn keep_fresh(
    authority: Arc<Authority>,
    names: Vec<String>,
    shown: Arc<Shown>,
    failed: impl Fn(&dyn std::error::Error),
) {
    const DAY: Duration = Duration::from_hours(24);
    loop {
        tokio::time::sleep(DAY).await;
        match authority.server(&names, jiff::Timestamp::now()) {
            Ok(identity) => {
                if let Err(error) = shown.replace(&identity) {
                    failed(&error);
                }
            }
            Err(error) => failed(&error),
        }
    }
}

/// Whether a client has to show a certificate. All are asked for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// There is no connection without.
    Required,
    /// Whoever shows one is known by it.
    Optional,
}

/// What a TLS connection is configured with: TLS 1.2 and 1.3, no session resumption (each
/// connection proves its key anew), no ALPN.
pub fn server_config(
    shown: Arc<Shown>,
    certificate: ClientCertificate,
) -> Result<ServerConfig, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let possession = Possession { algorithms, certificate };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(possession))
        .with_cert_resolver(shown);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The cryptography that every TLS connection of this process uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certified(identity: &ServerIdentity) -> Result<Arc<CertifiedKey>, Error> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.private_key_pem.as_bytes())?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

/// Accepts any certificate that is in its time and whose key the client proves to hold.
#[derive(Debug)]
struct Possession {
    algorithms: WebPkiSupportedAlgorithms,
    certificate: ClientCertificate,
}

impl ClientCertVerifier for Possession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.certificate == ClientCertificate::Required
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        in_its_time(certificate, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn in_its_time(der: &[u8], now: UnixTime) -> Result<(), CertificateError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > certificate.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};

    use jiff::Timestamp;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, Stream};

    use super::*;
    use crate::ca::{Issued, Issuer, certificate_id};

    /// What the two ends of a handshake end with: the certificate id the server saw.
    fn handshake(server: ServerConfig, client: ClientConfig) -> Result<String, String> {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let device = std::thread::spawn(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = ClientConnection::new(Arc::new(client), name).unwrap();
            let mut stream = Stream::new(&mut tls, &mut theirs);
            stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut [0; 2]))
        });
        let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
        let mut stream = Stream::new(&mut tls, &mut ours);
        let outcome = stream.read_exact(&mut [0; 5]).and_then(|()| stream.write_all(b"ok"));
        let seen = tls.peer_certificates().map(|chain| certificate_id(&chain[0]));
        drop(ours);
        outcome.map_err(|error| error.to_string())?;
        device.join().unwrap().map_err(|error| error.to_string())?;
        Ok(seen.unwrap())
    }

    fn server(authority: &Authority) -> ServerConfig {
        let identity = authority.server(&[], Timestamp::now()).unwrap();
        let shown = Arc::new(Shown::new(&identity).unwrap());
        server_config(shown, ClientCertificate::Required).unwrap()
    }

    fn trusting(
        authority: &Authority,
    ) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    fn device(trusts: &Authority, shows: &Issued, key: &Issued) -> ClientConfig {
        let certificate = CertificateDer::from_pem_slice(shows.certificate_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.private_key_pem.as_bytes()).unwrap();
        let mut config = trusting(trusts)
            .with_client_auth_cert(vec![certificate], PrivateKeyDer::clone_key(&key))
            .unwrap();
        config.enable_sni = true;
        config
    }

    #[test]
    fn a_device_is_known_by_the_id_of_the_certificate_it_shows() {
        let authority = Authority::in_memory().unwrap();
        let identity = authority.issue().unwrap();
        let client = device(&authority, &identity, &identity);
        assert_eq!(handshake(server(&authority), client), Ok(identity.id));
    }

    #[test]
    fn a_certificate_of_any_authority_passes_when_its_key_is_proven() {
        let (ours, other) = (Authority::in_memory().unwrap(), Authority::in_memory().unwrap());
        let identity = other.issue().unwrap();
        let client = device(&ours, &identity, &identity);
        assert_eq!(handshake(server(&ours), client), Ok(identity.id));
    }

    #[test]
    fn a_client_without_a_certificate_is_refused() {
        let authority = Authority::in_memory().unwrap();
        let client = trusting(&authority).with_no_client_auth();
        assert!(handshake(server(&authority), client).is_err());
    }

    #[test]
    fn a_certificate_shown_with_another_key_is_refused() {
        let authority = Authority::in_memory().unwrap();
        let (victim, thief) = (authority.issue().unwrap(), authority.issue().unwrap());
        let certificate = CertificateDer::from_pem_slice(victim.certificate_pem.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(thief.private_key_pem.as_bytes()).unwrap();
        let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        // rustls' own checks would not let an honest client make this mistake.
        let forged = CertifiedKey::new(vec![certificate.unwrap()], signer);
        let client = trusting(&authority)
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(forged)));
        let error = handshake(server(&authority), client).unwrap_err();
        assert!(error.contains("BadSignature"), "{error}");
    }

    #[test]
    fn an_expired_certificate_is_refused() {
        let authority = Authority::in_memory().unwrap();
        let issued = authority.issue().unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
        let year =
            |y: u64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(y * 31_557_600));
        assert_eq!(in_its_time(&der, year(2050 - 1970 + 1)), Err(CertificateError::Expired));
        assert_eq!(in_its_time(&der, year(2015 - 1970)), Err(CertificateError::NotValidYet));
        assert_eq!(in_its_time(&der, year(2030 - 1970)), Ok(()));
    }

    #[test]
    fn the_shown_certificate_can_be_replaced() {
        let authority = Authority::in_memory().unwrap();
        let shown = Shown::new(&authority.server(&[], Timestamp::now()).unwrap()).unwrap();
        let before = shown.0.read().unwrap().cert[0].clone();
        shown.replace(&authority.server(&[], Timestamp::now()).unwrap()).unwrap();
        assert_ne!(shown.0.read().unwrap().cert[0], before);
    }
}
