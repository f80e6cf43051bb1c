//! The built-in certificate authority: who may call itself a server or a device of this node.
//!
//! Made at the first start and kept with the data: `ca.pem` and `ca.key`, and the server's own
//! `server.pem` and `server.key`. All keys are ECDSA on P-256. Keys of devices are handed out once
//! and never kept.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SanType, SubjectPublicKeyInfo, date_time_ymd,
};
use sha2::{Digest, Sha256};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files;
use crate::signature::public_key;

/// How long a server certificate is good for.
const SERVER_DAYS: i64 = 397;
/// A server certificate with less than this left is replaced.
const RENEW_DAYS: i64 = 60;
/// Certificates are good from this long before they are made: device clocks run slow.
const BACKDATE_S: i64 = 3_600;
/// Names every server certificate has.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes device certificates (`iot` CreateKeysAndCertificate).
pub trait Issuer: Send + Sync {
    /// A new key pair and a certificate for it. The private key exists nowhere else.
    fn issue(&self) -> Result<Issued, Error>;

    /// A certificate (PEM) for the subject and key of a certificate signing request (PEM), whose
    /// signature is checked. Extensions it asks for are left out.
    fn issue_for(&self, request: &str) -> Result<String, Error>;
}

/// A device's new identity.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub private_key_pem: String,
    /// Its public key, PEM.
    pub public_key_pem: String,
    /// AWS's certificate id: the SHA-256 of the DER in 64 hex digits.
    pub id: String,
}

/// The certificate of a server and its key, both PEM.
#[derive(Clone)]
pub struct ServerIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key, PKCS#8.
    pub private_key_pem: String,
}

/// A certificate that others check signatures with.
pub(crate) struct Identity {
    /// The SHA-256 of the DER in 64 hex digits.
    pub(crate) id: String,
    /// PEM.
    pub(crate) certificate_pem: String,
}

/// The authority could not be opened, or could not make a certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the data folder cannot be read or written.
    #[error("cannot keep `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate stands without its key.
    #[error("`{}` is missing, so `ca.pem` beside it is of no use", path.display())]
    KeyMissing {
        /// The key that should be there.
        path: PathBuf,
    },
    /// A kept key or certificate cannot be read, or a name cannot stand in one.
    #[error("cannot make or read a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// The certificate authority of one node.
pub struct Authority {
    folder: Option<PathBuf>,
    certificate_pem: String,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority kept in `folder`, made when there is none.
    ///
    /// Repeatable after a crash: the key is kept before the certificate that names it.
    pub fn open(folder: &Path) -> Result<Authority, Error> {
        let (key_path, certificate_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let kept = (read(&key_path)?, read(&certificate_path)?);
        let (key, certificate_pem) = match kept {
            (None, Some(_)) => return Err(Error::KeyMissing { path: key_path }),
            (Some(key), Some(certificate)) => (KeyPair::from_pem(&key)?, certificate),
            (kept_key, None) => {
                let key = keep_key(&key_path, kept_key.as_deref())?;
                let certificate = self_signed(&key)?;
                write(&certificate_path, &certificate)?;
                (key, certificate)
            }
        };
        let issuer = rcgen::Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Authority { folder: Some(folder.to_owned()), certificate_pem, issuer })
    }

    /// An authority that lives as long as this value.
    pub fn in_memory() -> Result<Authority, Error> {
        let key = new_key()?;
        let certificate_pem = self_signed(&key)?;
        let issuer = rcgen::Issuer::from_ca_cert_pem(&certificate_pem, key)?;
        Ok(Authority { folder: None, certificate_pem, issuer })
    }

    /// The authority's own certificate: what devices are given to trust, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The server's certificate for `localhost`, the loopback addresses and `names` (host names or
    /// IP addresses): the kept one while it has all of them and 60 days left at `now`, else a new
    /// one that is kept in its place.
    pub fn server(&self, names: &[String], now: Timestamp) -> Result<ServerIdentity, Error> {
        let names = server_names(names);
        if let Some(kept) = self.kept_server(&names, now)? {
            return Ok(kept);
        }
        let key = new_key()?;
        let certificate = server_params(&names, now)?.signed_by(&key, &self.issuer)?;
        let identity = ServerIdentity {
            certificate_pem: certificate.pem(),
            private_key_pem: key.serialize_pem(),
        };
        if let Some(folder) = &self.folder {
            write(&folder.join("server.key"), &identity.private_key_pem)?;
            write(&folder.join("server.pem"), &identity.certificate_pem)?;
        }
        Ok(identity)
    }

    /// The key and certificate that what topics send is signed with: RSA, since that is what those
    /// who check expect. Kept like the server's.
    pub(crate) fn notary(&self) -> Result<(KeyPair, Identity), Error> {
        let paths = self.folder.as_ref().map(|it| (it.join("sns.key"), it.join("sns.pem")));
        if let Some((key_path, certificate_path)) = &paths
            && let (Some(key), Some(certificate_pem)) = (read(key_path)?, read(certificate_path)?)
            && let Some(der) = der(&certificate_pem)
        {
            let identity = Identity { id: certificate_id(&der), certificate_pem };
            return Ok((KeyPair::from_pem_and_sign_algo(&key, &PKCS_RSA_SHA256)?, identity));
        }
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let mut params = named("stepwire notifications");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let certificate_pem = certificate.pem();
        if let Some((key_path, certificate_path)) = &paths {
            write(key_path, &key.serialize_pem())?;
            write(certificate_path, &certificate_pem)?;
        }
        Ok((key, Identity { id: certificate_id(certificate.der()), certificate_pem }))
    }

    fn kept_server(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<Option<ServerIdentity>, Error> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let certificate_pem = read(&folder.join("server.pem"))?;
        let private_key_pem = read(&folder.join("server.key"))?;
        let (Some(certificate_pem), Some(private_key_pem)) = (certificate_pem, private_key_pem)
        else {
            return Ok(None);
        };
        let good = is_good(&certificate_pem, &private_key_pem, &self.certificate_pem, names, now);
        Ok(good.unwrap_or(false).then_some(ServerIdentity { certificate_pem, private_key_pem }))
    }
}

impl Issuer for Authority {
    fn issue(&self) -> Result<Issued, Error> {
        let key = new_key()?;
        let certificate = device_params().signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            private_key_pem: key.serialize_pem(),
            public_key_pem: key.public_key_pem(),
            id: certificate_id(certificate.der()),
        })
    }

    fn issue_for(&self, request: &str) -> Result<String, Error> {
        let asked = CertificateSigningRequestParams::from_pem(request)?;
        let mut params = device_params();
        params.distinguished_name = asked.params.distinguished_name;
        // The key's own algorithm: what it has signed the request with may be of another strength.
        let key = public_key(request).ok_or(rcgen::Error::CouldNotParseCertificationRequest)?;
        let key = SubjectPublicKeyInfo::from_der(&key)?;
        Ok(params.signed_by(&key, &self.issuer)?.pem())
    }
}

/// AWS's id of the certificate with these DER bytes: their SHA-256 in 64 lower-case hex digits.
pub fn certificate_id(der: &[u8]) -> String {
    use std::fmt::Write;
    let mut id = String::with_capacity(64);
    for byte in Sha256::digest(der) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn new_key() -> Result<KeyPair, Error> {
    Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

/// The kept key, or a new one that is kept before it is used.
fn keep_key(path: &Path, kept: Option<&str>) -> Result<KeyPair, Error> {
    if let Some(pem) = kept {
        return Ok(KeyPair::from_pem(pem)?);
    }
    let key = new_key()?;
    write(path, &key.serialize_pem())?;
    Ok(key)
}

fn self_signed(key: &KeyPair) -> Result<String, Error> {
    let mut params = named("stepwire certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key)?.pem())
}

/// Good until the end of 2049, as the device certificates AWS makes.
fn device_params() -> CertificateParams {
    let mut params = named("stepwire device");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn server_params(names: &[String], now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = named("stepwire");
    params.not_before = date_time_ymd(1970, 1, 1) + seconds(now.as_second() - BACKDATE_S);
    params.not_after = date_time_ymd(1970, 1, 1) + seconds(now.as_second() + SERVER_DAYS * 86_400);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    Ok(params)
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    params
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.max(0).unsigned_abs())
}

fn server_names(configured: &[String]) -> Vec<String> {
    let mut names: Vec<String> = LOOPBACK_NAMES.iter().map(|&name| name.to_owned()).collect();
    for name in configured {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Whether a kept server certificate still serves. `None`: it cannot be read, so it does not.
fn is_good(
    certificate_pem: &str,
    key_pem: &str,
    authority_pem: &str,
    names: &[String],
    now: Timestamp,
) -> Option<bool> {
    let der = der(certificate_pem)?;
    let authority_der = self::der(authority_pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let (_, authority) = X509Certificate::from_der(&authority_der).ok()?;
    let key = KeyPair::from_pem(key_pem).ok()?;
    let renew_at = certificate.validity().not_after.timestamp() - RENEW_DAYS * 86_400;
    let has = names_of(&certificate);
    Some(
        now.as_second() < renew_at
            && names.iter().all(|name| has.contains(name))
            && certificate.public_key().subject_public_key.data == key.public_key_raw()
            && issued_by(&certificate)? == key_identifier(&authority)?,
    )
}

fn der(pem: &str) -> Option<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    Some(CertificateDer::from_pem_slice(pem.as_bytes()).ok()?.to_vec())
}

fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}

fn issued_by<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn key_identifier<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    files::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    files::write(path, text.as_bytes())
        .map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * DAY_S).unwrap()
    }

    #[test]
    fn the_authority_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path()).unwrap();
        let second = Authority::open(folder.path()).unwrap();
        assert_eq!(first.certificate_pem(), second.certificate_pem());
    }

    #[test]
    fn a_crash_between_key_and_certificate_is_repaired_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path()).unwrap();
        let key = files::read(&folder.path().join("ca.key")).unwrap();
        files::remove(&folder.path().join("ca.pem")).unwrap();
        Authority::open(folder.path()).unwrap();
        assert_eq!(files::read(&folder.path().join("ca.key")).unwrap(), key);
    }

    #[test]
    fn an_authority_without_its_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path()).unwrap();
        files::remove(&folder.path().join("ca.key")).unwrap();
        assert!(matches!(Authority::open(folder.path()), Err(Error::KeyMissing { .. })));
    }

    #[test]
    fn the_server_certificate_is_kept_until_it_nears_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let first = authority.server(&[], at(0)).unwrap().certificate_pem;
        assert_eq!(authority.server(&[], at(336)).unwrap().certificate_pem, first);
        assert_ne!(authority.server(&[], at(338)).unwrap().certificate_pem, first);
    }

    #[test]
    fn a_new_name_brings_a_new_server_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path()).unwrap();
        let first = authority.server(&[], at(0)).unwrap();
        let names = ["iot.example.org".to_owned(), "192.0.2.1".to_owned()];
        let second = authority.server(&names, at(0)).unwrap();
        assert_ne!(first.certificate_pem, second.certificate_pem);
        assert_eq!(
            authority.server(&names, at(0)).unwrap().certificate_pem,
            second.certificate_pem
        );
        assert_eq!(authority.server(&[], at(0)).unwrap().certificate_pem, second.certificate_pem);
    }

    #[test]
    fn a_server_certificate_of_another_authority_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path()).unwrap().server(&[], at(0)).unwrap();
        files::remove(&folder.path().join("ca.pem")).unwrap();
        files::remove(&folder.path().join("ca.key")).unwrap();
        let second = Authority::open(folder.path()).unwrap().server(&[], at(0)).unwrap();
        assert_ne!(first.certificate_pem, second.certificate_pem);
    }

    #[test]
    fn an_issued_certificate_is_named_by_the_hash_of_its_der() {
        let issued = Authority::in_memory().unwrap().issue().unwrap();
        let der = der(&issued.certificate_pem).unwrap();
        assert_eq!(issued.id, certificate_id(&der));
        assert_eq!(issued.id.len(), 64);
        assert!(issued.private_key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(issued.public_key_pem.starts_with("-----BEGIN PUBLIC KEY-----"));
    }

    #[test]
    fn no_two_devices_share_a_key() {
        let authority = Authority::in_memory().unwrap();
        let (a, b) = (authority.issue().unwrap(), authority.issue().unwrap());
        assert_ne!(a.public_key_pem, b.public_key_pem);
        assert_ne!(a.id, b.id);
    }
}
