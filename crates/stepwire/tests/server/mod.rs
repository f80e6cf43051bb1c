//! `stepwire serve` as users start it, and its AWS API as tools call it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

/// The program with `arguments`, and nothing on its standard input.
pub(crate) fn stepwire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stepwire"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A running node. It is killed at the end of the test, whatever happens.
pub(crate) struct Server {
    process: Child,
    ready: String,
    /// What it says on standard error. A pipe that nobody reads would stop it.
    errors: File,
}

impl Server {
    /// Starts a node with these `arguments`, on free ports unless they say otherwise; it is ready
    /// when this returns.
    pub(crate) fn start(arguments: &[&str]) -> Server {
        let free = [["--http", "0"], ["--mqtts", "0"]];
        let free = free.into_iter().filter(|[option, _]| !arguments.contains(option)).flatten();
        let errors = tempfile::tempfile().unwrap();
        let mut process = stepwire(&["serve"])
            .args(free)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let server = Server { process, ready, errors };
        let ready = server.ready.starts_with("ready ");
        assert!(ready, "{}{}", server.ready, server.stderr());
        server
    }

    /// A node that keeps its data in `folder`.
    pub(crate) fn with_data(folder: &Path) -> Server {
        Server::start(&["--data", folder.to_str().unwrap()])
    }

    /// What it printed when it was ready.
    pub(crate) fn ready(&self) -> &str {
        &self.ready
    }

    /// The value of `name=…` in the ready line.
    pub(crate) fn told(&self, name: &str) -> &str {
        let prefix = format!("{name}=");
        self.ready.split_whitespace().find_map(|word| word.strip_prefix(&prefix)).unwrap()
    }

    /// Where it listens for `name`: `http`, `mqtts` or `mqtt`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.told(name).split_once("://").unwrap().1.parse().unwrap()
    }

    /// The certificate of its authority.
    pub(crate) fn ca_pem(&self) -> String {
        std::fs::read_to_string(Path::new(self.told("data")).join("ca.pem")).unwrap()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it: SIGKILL, as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn terminate(mut self) -> i32 {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.process.wait().unwrap().code().unwrap()
    }

    /// What it has said on standard error so far.
    pub(crate) fn stderr(&self) -> String {
        // not by seeking, which would move the process's end too
        let mut text = vec![0; self.errors.metadata().unwrap().len() as usize];
        let read = self.errors.read_at(&mut text, 0).unwrap();
        text.truncate(read);
        String::from_utf8(text).unwrap()
    }

    /// A client of its AWS API.
    pub(crate) fn aws(&self) -> Aws {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Aws { client, endpoint: self.told("http").to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client of a node's AWS API.
pub(crate) struct Aws {
    client: reqwest::Client,
    endpoint: String,
}

/// A certificate and its key.
pub(crate) struct Identity {
    /// Identifier of the certificate.
    pub(crate) id: String,
    /// ARN of the certificate.
    pub(crate) arn: String,
    /// The certificate.
    pub(crate) certificate_pem: String,
    /// The key.
    pub(crate) key_pem: String,
}

impl Aws {
    /// An `iot` request that must succeed.
    pub(crate) async fn iot(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.endpoint));
        self.send("iot", request.body(body)).await
    }

    async fn send(&self, service: &str, request: reqwest::RequestBuilder) -> Value {
        // on loopback a signature need only have the form of one
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature={}",
            "0".repeat(64)
        );
        let response = request.header("authorization", signed).send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    /// Publishes as a service does.
    pub(crate) async fn publish(&self, topic: &str, payload: &str) {
        let topic = topic.replace('/', "%2F").replace('$', "%24");
        let url = format!("{}/topics/{topic}?qos=1", self.endpoint);
        self.send("iotdata", self.client.post(url).body(payload.to_owned())).await;
    }

    /// Ends a client's connection.
    pub(crate) async fn disconnect(&self, client: &str) {
        let url = format!("{}/connections/{client}", self.endpoint);
        self.send("iotdata", self.client.delete(url)).await;
    }

    /// A thing `name` with a certificate of its own that may do what `statements` say.
    pub(crate) async fn device(&self, name: &str, statements: Value) -> Identity {
        self.iot(Method::POST, &format!("/things/{name}"), "{}").await;
        let made = self.iot(Method::POST, "/keys-and-certificate?setAsActive=true", "").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let identity = Identity {
            id: text(&made["certificateId"]),
            arn: text(&made["certificateArn"]),
            certificate_pem: text(&made["certificatePem"]),
            key_pem: text(&made["keyPair"]["PrivateKey"]),
        };
        let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let policy = json!({ "policyDocument": document }).to_string();
        self.iot(Method::POST, &format!("/policies/{name}"), policy).await;
        let target = json!({ "target": identity.arn }).to_string();
        self.iot(Method::PUT, &format!("/target-policies/{name}"), target).await;
        let attach = format!(
            "{}/things/{name}/principals?thingPrincipalType=EXCLUSIVE_THING",
            self.endpoint
        );
        let attach = self.client.put(attach).header("x-amzn-principal", &identity.arn);
        self.send("iot", attach).await;
        identity
    }
}
