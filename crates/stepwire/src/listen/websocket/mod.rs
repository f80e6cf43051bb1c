//! MQTT over WebSocket (MQTT 5.0, 6): the opening handshake, and who may pass it.

mod stream;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use stepwire_aws::sigv4::{self, Presigned, Signature, Signed};
use stepwire_core::broker::Identity;

use super::http::{Peer, is_own_origin};
use super::port::Options;
use crate::api;

pub(super) use stream::WebSocket;

/// Where MQTT over WebSocket is served.
pub(super) const PATH: &str = "/mqtt";
/// Names of MQTT as a subprotocol: the standard's, and that of MQTT 3.1.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
/// What a signature has to be for.
const SERVICES: [&str; 2] = ["iotdevicegateway", "iotdata"];
/// RFC 6455, 1.3.
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The answer to an opening handshake (RFC 6455, 4.2), and who opened it unless that is refused.
pub(super) fn open(parts: &Parts, peer: &Peer, options: &Options) -> (Response, Option<Identity>) {
    let refuse = |status, code, why: &str| {
        tracing::info!("MQTT over WebSocket with {} refused: {why}", peer.ip);
        (api::refused_early(status, code, why), None)
    };
    let shake = match Handshake::read(parts) {
        Ok(shake) => shake,
        Err(error) => {
            let mut refused = refuse(error.status(), "InvalidRequestException", error.text());
            // RFC 6455, 4.4: who speaks another version is told which is spoken
            let version = HeaderValue::from_static("13");
            refused.0.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
            return refused;
        }
    };
    match identify(parts, peer, options) {
        Ok(identity) => (shake.answer(), Some(identity)),
        Err(refused) => refuse(StatusCode::FORBIDDEN, refused.code(), &refused.to_string()),
    }
}

/// Why nobody is let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Signature(#[from] sigv4::Refused),
    #[error("the signature is for service `{0}`, not for `iotdevicegateway`")]
    Service(String),
    #[error("pages of another origin may not use this machine's certificate")]
    Foreign,
    #[error("custom authorizers are not available yet")]
    CustomAuthorizer,
}

impl Refused {
    fn code(&self) -> &'static str {
        match self {
            Refused::Signature(refused) => refused.code(),
            Refused::Service(_) => "InvalidSignatureException",
            Refused::Foreign | Refused::CustomAuthorizer => "ForbiddenException",
        }
    }
}

/// Who opens it: the holder of a signing key, the owner of a certificate, or, where that is
/// allowed, anybody.
fn identify(parts: &Parts, peer: &Peer, options: &Options) -> Result<Identity, Refused> {
    let query = parts.uri.query().unwrap_or_default();
    if query.contains("x-amz-customauthorizer-name=")
        || parts.headers.contains_key("x-amz-customauthorizer-name")
    {
        return Err(Refused::CustomAuthorizer);
    }
    let request = Signed {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query,
        headers: &parts.headers,
        body: b"",
    };
    let now_s = jiff::Timestamp::now().as_second();
    let keys = options.keys.as_ref();
    match Presigned::read(query) {
        Ok(presigned) => {
            let verify = |secret: &str| presigned.verify(&request, secret, now_s);
            return signed(&presigned.signature, keys, verify);
        }
        Err(sigv4::Refused::Missing) => {}
        Err(refused) => return Err(refused.into()),
    }
    match Signature::read(&parts.headers) {
        Ok(signature) => {
            return signed(&signature, keys, |secret| signature.verify(&request, secret, now_s));
        }
        Err(sigv4::Refused::Missing) => {}
        Err(refused) => return Err(refused.into()),
    }
    match &peer.certificate {
        Some(_) if !is_own_origin(&parts.headers) => Err(Refused::Foreign),
        Some(id) => Ok(Identity::Certificate(id.clone())),
        None if options.anonymous_allowed => Ok(Identity::Anonymous),
        None => Err(sigv4::Refused::Missing.into()),
    }
}

/// Who signed. On loopback a signature need only have the form of one, as for the AWS API.
fn signed(
    signature: &Signature,
    keys: Option<&crate::access_key::AccessKey>,
    verify: impl Fn(&str) -> Result<(), sigv4::Refused>,
) -> Result<Identity, Refused> {
    if !SERVICES.contains(&signature.service.as_str()) {
        return Err(Refused::Service(signature.service.clone()));
    }
    if let Some(keys) = keys {
        if signature.key != keys.id {
            return Err(sigv4::Refused::UnknownKey.into());
        }
        verify(&keys.secret)?;
    }
    Ok(Identity::Signed(signature.key.as_str().into()))
}

/// What an opening handshake lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Error {
    NoUpgrade,
    Version,
    Key,
    Subprotocol,
}

impl Error {
    fn status(self) -> StatusCode {
        match self {
            Error::NoUpgrade | Error::Version => StatusCode::UPGRADE_REQUIRED,
            Error::Key | Error::Subprotocol => StatusCode::BAD_REQUEST,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Error::NoUpgrade => {
                "this path is for MQTT over WebSocket: GET with `Upgrade: websocket`"
            }
            Error::Version => "only version 13 of WebSocket is spoken",
            Error::Key => "`Sec-WebSocket-Key` must be 16 bytes in base64",
            Error::Subprotocol => "`Sec-WebSocket-Protocol` must offer `mqtt`",
        }
    }
}

/// An opening handshake of the right form.
#[derive(Debug, PartialEq, Eq)]
struct Handshake {
    subprotocol: &'static str,
    accept: String,
}

impl Handshake {
    fn read(parts: &Parts) -> Result<Handshake, Error> {
        let headers = &parts.headers;
        let upgrades = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && lists(headers, header::CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"))
            && lists(headers, header::UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket"));
        if !upgrades {
            return Err(Error::NoUpgrade);
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Error::Version);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Error::Key)?.as_bytes();
        if STANDARD.decode(key).map_or(0, |bytes| bytes.len()) != 16 {
            return Err(Error::Key);
        }
        // MQTT 5.0, 6: the client must offer it and the server must choose it
        let offered = |name: &&str| {
            lists(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|offer| offer == *name)
        };
        let subprotocol = SUBPROTOCOLS.into_iter().find(offered).ok_or(Error::Subprotocol)?;
        let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SALT).finalize();
        Ok(Handshake { subprotocol, accept: STANDARD.encode(digest) })
    }

    fn answer(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let subprotocol = HeaderValue::from_static(self.subprotocol);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        if let Ok(accept) = HeaderValue::try_from(self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

/// The elements of a header that is a list.
fn lists(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',').map(str::trim))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use axum::http::Request;

    use super::*;
    use crate::access_key::AccessKey;

    const SIGNED: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKID%2F20150830%2Fr%2Fiotdevicegateway%2Faws4_request\
        &X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Signature=";

    /// The example of RFC 6455, 1.3, with the names of MQTT.
    fn request(query: &str) -> Parts {
        let (parts, ()) = Request::get(format!("/mqtt{query}"))
            .header("host", "iot.example.org")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "x, mqtt")
            .body(())
            .unwrap()
            .into_parts();
        parts
    }

    fn signed_request() -> Parts {
        request(&format!("?{SIGNED}{}", "0".repeat(64)))
    }

    fn peer(certificate: Option<&str>) -> Peer {
        Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), certificate: certificate.map(Into::into) }
    }

    fn options(keys: bool, anonymous_allowed: bool) -> Options {
        let keys = keys.then(|| AccessKey { id: "AKID".to_owned(), secret: "s".to_owned() });
        Options { anonymous_allowed, keys, ..Options::default() }
    }

    #[test]
    fn an_opening_handshake_is_answered_as_the_rfc_shows() {
        let shake = Handshake::read(&request("")).unwrap();
        assert_eq!(shake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(shake.subprotocol, "mqtt");
        let answer = shake.answer();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "mqtt");
    }

    #[test]
    fn what_is_no_handshake_for_mqtt_is_refused() {
        for (name, value, error) in [
            ("upgrade", "h2c", Error::NoUpgrade),
            ("connection", "close", Error::NoUpgrade),
            ("sec-websocket-version", "8", Error::Version),
            ("sec-websocket-key", "c2hvcnQ=", Error::Key),
            ("sec-websocket-protocol", "wamp", Error::Subprotocol),
            ("sec-websocket-protocol", "MQTT", Error::Subprotocol),
        ] {
            let mut parts = request("");
            parts.headers.insert(name, value.parse().unwrap());
            assert_eq!(Handshake::read(&parts), Err(error), "{name}: {value}");
        }
    }

    #[test]
    fn on_loopback_a_signature_need_only_have_the_form_of_one() {
        let identity = identify(&signed_request(), &peer(None), &options(false, false));
        assert_eq!(identity, Ok(Identity::Signed("AKID".into())));
    }

    #[test]
    fn off_loopback_a_signature_must_be_the_nodes_and_in_time() {
        let refused = identify(&signed_request(), &peer(None), &options(true, false));
        assert_eq!(refused, Err(Refused::Signature(sigv4::Refused::Skewed)));
        let mut options = options(true, false);
        options.keys.as_mut().unwrap().id = "AKOTHER".to_owned();
        let refused = identify(&signed_request(), &peer(None), &options);
        assert_eq!(refused, Err(Refused::Signature(sigv4::Refused::UnknownKey)));
    }

    #[test]
    fn a_signature_for_another_service_opens_nothing() {
        let query = format!("?{SIGNED}{}", "0".repeat(64)).replace("iotdevicegateway", "s3");
        let refused = identify(&request(&query), &peer(None), &options(false, false));
        assert_eq!(refused, Err(Refused::Service("s3".to_owned())));
    }

    #[test]
    fn without_a_signature_the_certificate_counts() {
        let identity = identify(&request(""), &peer(Some("c0ffee")), &options(true, false));
        assert_eq!(identity, Ok(Identity::Certificate("c0ffee".into())));
    }

    #[test]
    fn a_page_of_another_origin_cannot_use_a_certificate() {
        let mut parts = request("");
        parts.headers.insert("origin", "https://iot.example.org".parse().unwrap());
        assert!(identify(&parts, &peer(Some("c0ffee")), &options(true, false)).is_ok());
        parts.headers.insert("origin", "https://evil.example".parse().unwrap());
        let refused = identify(&parts, &peer(Some("c0ffee")), &options(true, false));
        assert_eq!(refused, Err(Refused::Foreign));
    }

    #[test]
    fn without_any_proof_only_anonymous_clients_that_are_allowed_pass() {
        let identity = identify(&request(""), &peer(None), &options(false, true));
        assert_eq!(identity, Ok(Identity::Anonymous));
        let refused = identify(&request(""), &peer(None), &options(false, false));
        assert_eq!(refused, Err(Refused::Signature(sigv4::Refused::Missing)));
    }

    #[test]
    fn custom_authorizers_are_refused_by_name() {
        let parts = request("?x-amz-customauthorizer-name=a");
        let refused = identify(&parts, &peer(None), &options(false, true));
        assert_eq!(refused, Err(Refused::CustomAuthorizer));
    }
}
