//! What is spoken on a TLS connection, and whether its client has to show a certificate: chosen by
//! the port and by what the client offers in ALPN, before the handshake goes on.
//!
//! Source: AWS IoT developer guide, "Device communication protocols": protocols, authentication,
//! and port mappings.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;

use super::port::{Protocol, Role};
use crate::tls::{ClientCertificate, Error, Shown, server_config};

/// MQTT with a client certificate, on a port that is not MQTT's alone.
const MQTT_CA: &str = "x-amzn-mqtt-ca";
/// HTTPS with a client certificate.
const HTTP_CA: &str = "x-amzn-http-ca";
/// MQTT. At AWS: with a custom authorizer.
const MQTT: &str = "mqtt";
const HTTP_1: &str = "http/1.1";
const HTTP_2: &str = "h2";

/// How a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) protocol: Protocol,
    certificate: ClientCertificate,
    /// What the client is told of its offers.
    alpn: Option<&'static str>,
}

/// Why a connection does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    CustomAuthorizer,
    HttpToMqtt,
    Http2,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::CustomAuthorizer => {
                "it wants a custom authorizer (ALPN `mqtt`), which is not available yet; with a \
                 certificate it has to offer `x-amzn-mqtt-ca`, or use `--mqtts`"
            }
            Refused::HttpToMqtt => "it speaks HTTP to the port of MQTT: see `--https`",
            Refused::Http2 => "it speaks HTTP/2 only; HTTP/1.1 is served",
        })
    }
}

/// How a client goes on that offers these protocols at a TLS port. What is not known is passed
/// over, as if it had not been offered.
pub(super) fn choose(role: Role, offers: &[&[u8]]) -> Result<Choice, Refused> {
    let offered = |name: &str| offers.contains(&name.as_bytes());
    let pick = |name: &'static str| offered(name).then_some(name);
    let required = ClientCertificate::Required;
    if role == Role::Mqtts {
        let alpn = pick(MQTT_CA).or_else(|| pick(MQTT));
        if alpn.is_none() && [HTTP_CA, HTTP_1, HTTP_2].into_iter().any(offered) {
            return Err(Refused::HttpToMqtt);
        }
        return Ok(Choice { protocol: Protocol::Mqtt, certificate: required, alpn });
    }
    let (protocol, certificate, alpn) = if offered(MQTT_CA) {
        (Protocol::Mqtt, required, Some(MQTT_CA))
    } else if offered(HTTP_CA) {
        (Protocol::Http, required, Some(HTTP_CA))
    } else if offered(HTTP_1) {
        (Protocol::Http, ClientCertificate::Optional, Some(HTTP_1))
    } else if offered(MQTT) {
        return Err(Refused::CustomAuthorizer);
    } else if offered(HTTP_2) {
        return Err(Refused::Http2);
    } else {
        (Protocol::Http, ClientCertificate::Optional, None)
    };
    Ok(Choice { protocol, certificate, alpn })
}

/// The configurations of all choices.
pub(crate) struct Configs {
    required: ByOffer,
    optional: ByOffer,
    /// Tells a client that nothing it offers is spoken.
    refusing: Arc<ServerConfig>,
}

/// One for each answer to what is offered.
type ByOffer = Vec<(Option<&'static str>, Arc<ServerConfig>)>;

impl Configs {
    /// Those of a node that shows `shown`.
    pub(crate) fn new(shown: &Arc<Shown>) -> Result<Configs, Error> {
        let required = server_config(Arc::clone(shown), ClientCertificate::Required)?;
        let optional = server_config(Arc::clone(shown), ClientCertificate::Optional)?;
        let each = |config: &ServerConfig, offers: &[&'static str]| {
            let named =
                offers.iter().map(|offer| (Some(*offer), Arc::new(speaking(config, offer))));
            std::iter::once((None, Arc::new(config.clone()))).chain(named).collect()
        };
        Ok(Configs {
            // no client offers this
            refusing: Arc::new(speaking(&required, "-")),
            required: each(&required, &[MQTT_CA, HTTP_CA, MQTT]),
            optional: each(&optional, &[HTTP_1]),
        })
    }

    pub(super) fn of(&self, choice: &Choice) -> Arc<ServerConfig> {
        let all = match choice.certificate {
            ClientCertificate::Required => &self.required,
            ClientCertificate::Optional => &self.optional,
        };
        let found = all.iter().find(|(alpn, _)| *alpn == choice.alpn);
        Arc::clone(found.map_or(&self.refusing, |(_, config)| config))
    }

    pub(super) fn refusing(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.refusing)
    }
}

fn speaking(config: &ServerConfig, protocol: &str) -> ServerConfig {
    let mut config = config.clone();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::ca::Authority;

    fn chosen(role: Role, offers: &[&str]) -> Result<Choice, Refused> {
        let offers: Vec<_> = offers.iter().map(|offer| offer.as_bytes()).collect();
        choose(role, &offers)
    }

    const MUTUAL: ClientCertificate = ClientCertificate::Required;

    #[test]
    fn the_port_of_mqtt_speaks_mqtt_with_a_certificate() {
        for (offers, alpn) in [
            (&[][..], None),
            (&["x-amzn-mqtt-ca"], Some("x-amzn-mqtt-ca")),
            (&["mqtt"], Some("mqtt")),
            (&["http/1.1", "mqtt"], Some("mqtt")),
            (&["something-else"], None),
        ] {
            let choice = Choice { protocol: Protocol::Mqtt, certificate: MUTUAL, alpn };
            assert_eq!(chosen(Role::Mqtts, offers), Ok(choice), "{offers:?}");
        }
        for offer in ["http/1.1", "h2", "x-amzn-http-ca"] {
            assert_eq!(chosen(Role::Mqtts, &[offer]), Err(Refused::HttpToMqtt), "{offer}");
        }
    }

    #[test]
    fn other_ports_speak_what_is_offered() {
        let optional = ClientCertificate::Optional;
        for (offers, protocol, certificate, alpn) in [
            (&[][..], Protocol::Http, optional, None),
            (&["http/1.1"], Protocol::Http, optional, Some("http/1.1")),
            (&["h2", "http/1.1"], Protocol::Http, optional, Some("http/1.1")),
            (&["something-else"], Protocol::Http, optional, None),
            (&["x-amzn-mqtt-ca"], Protocol::Mqtt, MUTUAL, Some("x-amzn-mqtt-ca")),
            (&["x-amzn-http-ca"], Protocol::Http, MUTUAL, Some("x-amzn-http-ca")),
            (&["mqtt", "x-amzn-mqtt-ca"], Protocol::Mqtt, MUTUAL, Some("x-amzn-mqtt-ca")),
        ] {
            let choice = Choice { protocol, certificate, alpn };
            assert_eq!(chosen(Role::Https, offers), Ok(choice), "{offers:?}");
        }
        assert_eq!(chosen(Role::Https, &["mqtt"]), Err(Refused::CustomAuthorizer));
        assert_eq!(chosen(Role::Https, &["h2"]), Err(Refused::Http2));
    }

    #[test]
    fn there_is_a_configuration_for_every_choice() {
        let authority = Authority::in_memory().unwrap();
        let identity = authority.server(&[], jiff::Timestamp::now()).unwrap();
        let configs = Configs::new(&Arc::new(Shown::new(&identity).unwrap())).unwrap();
        for role in [Role::Mqtts, Role::Https] {
            for offer in ["", MQTT_CA, HTTP_CA, MQTT, HTTP_1] {
                if let Ok(choice) = chosen(role, &[offer]) {
                    let alpn = configs.of(&choice).alpn_protocols.clone();
                    let told = choice.alpn.map(|alpn| alpn.as_bytes().to_vec());
                    assert_eq!(alpn, Vec::from_iter(told), "{role:?} {offer}");
                }
            }
        }
    }
}
