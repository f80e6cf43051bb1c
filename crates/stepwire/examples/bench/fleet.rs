//! Devices with certificates of their own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use stepwire::ca::{Authority, Issuer};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::{connect, exchange, request_to};
use crate::plan::Plan;
use crate::server::Server;

/// Requests at a time while devices are made known.
const AT_A_TIME: usize = 32;

/// The authority of everybody in a bench, made for it unless one is named.
pub(crate) struct Ca {
    named: Option<PathBuf>,
    made: TempDir,
}

impl Ca {
    pub(crate) fn of(plan: &Plan) -> Ca {
        let ca = Ca { named: plan.ca.clone(), made: tempfile::tempdir_in(".").unwrap() };
        Authority::open(ca.path()).unwrap();
        ca
    }

    pub(crate) fn path(&self) -> &Path {
        self.named.as_deref().unwrap_or_else(|| self.made.path())
    }
}

/// Devices, each with a certificate and a key; all trust one authority.
pub(crate) struct Fleet {
    devices: Vec<Arc<ClientConfig>>,
}

impl Fleet {
    /// Devices whose certificates the authority in the folder `ca` has issued. They are known
    /// nowhere.
    pub(crate) fn of(ca: &Path, count: usize) -> Fleet {
        let authority = Authority::open(ca).unwrap();
        let roots = roots(authority.certificate_pem());
        let devices = (0..count).map(|_| {
            let issued = authority.issue().unwrap();
            device(&roots, &issued.certificate_pem, &issued.private_key_pem)
        });
        Fleet { devices: devices.collect() }
    }

    /// Devices that `node` knows and lets do everything.
    pub(crate) async fn enrolled(node: &Server, ca: &Path, count: usize) -> Fleet {
        let roots = roots(&std::fs::read_to_string(ca.join("ca.pem")).unwrap());
        let everything = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]});
        let policy = json!({"policyDocument": everything.to_string()});
        let mut stream = connect(node.address).await;
        exchange(&mut stream, &request_to("POST", "/policies/all", &policy)).await;
        let mut tasks = Vec::new();
        for share in 0..AT_A_TIME {
            let (address, roots) = (node.address, Arc::clone(&roots));
            let mine = (count + share) / AT_A_TIME;
            tasks.push(tokio::spawn(async move {
                let mut stream = connect(address).await;
                let mut devices = Vec::with_capacity(mine);
                for _ in 0..mine {
                    devices.push(enrol(&mut stream, &roots).await);
                }
                devices
            }));
        }
        let mut devices = Vec::with_capacity(count);
        for task in tasks {
            devices.extend(task.await.unwrap());
        }
        Fleet { devices }
    }

    pub(crate) fn len(&self) -> usize {
        self.devices.len()
    }

    /// How device number `at` proves who it is.
    pub(crate) fn device(&self, at: usize) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.devices[at]))
    }
}

/// The name that every server here has.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

async fn enrol(stream: &mut TcpStream, roots: &Arc<RootCertStore>) -> Arc<ClientConfig> {
    let create = request_to("POST", "/keys-and-certificate?setAsActive=true", &json!({}));
    let made: Value = exchange(stream, &create).await;
    let attach = json!({"target": made["certificateArn"]});
    exchange(stream, &request_to("PUT", "/target-policies/all", &attach)).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    device(roots, &text(&made["certificatePem"]), &text(&made["keyPair"]["PrivateKey"]))
}

fn roots(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

/// A device that makes a full handshake each time.
fn device(roots: &Arc<RootCertStore>, certificate: &str, key: &str) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(stepwire::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(vec![certificate], key)
        .unwrap();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
