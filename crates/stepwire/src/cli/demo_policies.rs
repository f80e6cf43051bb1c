//! Policies that let devices do everything, for trying out samples: in demo mode only.

use stepwire_asl::Json;
use stepwire_core::{Request, Service};

use super::failure::{Exit, Failure};
use crate::node::Node;

/// The policy that `stepwire env` proposes where it is there.
pub(super) const NAME: &str = "stepwire-demo";
/// All of them: the second is the one that AWS's firmware sample asks for.
const NAMES: [&str; 2] = [NAME, "fullCitizen"];
const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}"#;

/// Makes those that are not there yet.
pub(super) async fn make(node: &Node) -> Result<(), Failure> {
    for name in NAMES {
        let body = Json::object([("policyName", name.into()), ("policyDocument", DOCUMENT.into())]);
        let made = match Request::parse(Service::Iot, "CreatePolicy", &body) {
            Some(Ok(request)) => node.call(request).await.map(|_| ()),
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        match made {
            Err(error) if error.code != "ResourceAlreadyExistsException" => {
                let why = format!("cannot make the policy `{name}`: {}", error.message);
                return Err(Failure::new(Exit::Failed, why));
            }
            _ => {}
        }
    }
    Ok(())
}
