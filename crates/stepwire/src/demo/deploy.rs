//! Puts the example and its devices into a node, by AWS requests. May be repeated on kept data.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use stepwire_asl::Json;

use super::api::{Api, Error};
use super::story;

/// ARN of [`story::GROUP`].
const GROUP_ARN: &str = "arn:aws:iot:us-east-1:000000000000:thinggroup/fleet";
const ROLE: &str = "arn:aws:iam::000000000000:role/stepwire";
/// Devices registered at a time.
const AT_A_TIME: usize = 32;

/// A device's name and identity.
pub struct Identity {
    /// Thing name and client id.
    pub name: Arc<str>,
    /// Certificate, PEM.
    pub certificate_pem: String,
    /// Private key, PEM.
    pub private_key_pem: String,
}

/// Deploys workflow, table, rules and policy. `definition` is the workflow's; its ARN comes back.
pub async fn story(api: &Api, definition: &str) -> Result<String, Error> {
    let table = json("CreateTable", story::TABLE)?;
    unless_exists(api.tables("CreateTable", table).await)?;
    let machine = Json::object([
        ("name", Json::from(story::STATE_MACHINE)),
        ("definition", definition.into()),
        ("roleArn", ROLE.into()),
    ]);
    let created = api.states("CreateStateMachine", machine).await?;
    for (name, payload) in story::RULES {
        let payload = json("CreateTopicRule", payload)?;
        match api.create_rule(name, payload.clone()).await {
            Err(error) if error.says_exists() => api.replace_rule(name, payload).await?,
            outcome => outcome?,
        };
    }
    unless_exists(api.create_policy(story::POLICY, story::POLICY_DOCUMENT).await)?;
    unless_exists(api.create_policy(story::JOB_POLICY, story::JOB_POLICY_DOCUMENT).await)?;
    unless_exists(api.create_group(story::GROUP).await)?;
    api.attach_policy(story::JOB_POLICY, GROUP_ARN).await?;
    text("CreateStateMachine", &created, "stateMachineArn")
}

/// Has all devices do the firmware job.
pub async fn job(api: &Api) -> Result<(), Error> {
    let input = json("CreateJob", story::JOB_INPUT)?;
    let members = input.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (Arc::clone(name), value.clone()));
    let targets = ("targets".into(), Json::array([GROUP_ARN.into()]));
    let input = Json::object::<Arc<str>>(members.chain([targets]));
    unless_exists(api.create_job(story::JOB, input).await)
}

/// Registers a thing for each of `names`, each with a certificate and the example's policy.
pub async fn devices(api: &Api, names: Vec<Arc<str>>) -> Result<Vec<Identity>, Error> {
    stream::iter(names).map(|name| device(api, name)).buffered(AT_A_TIME).try_collect().await
}

async fn device(api: &Api, name: Arc<str>) -> Result<Identity, Error> {
    let attributes = Json::object([("profileId", Json::from(format!("owner-of-{name}")))]);
    unless_exists(api.create_thing(&name, attributes).await)?;
    let made = api.create_certificate().await?;
    let text = |json, member| text("CreateKeysAndCertificate", json, member);
    let arn = text(&made, "certificateArn")?;
    api.attach_policy(story::POLICY, &arn).await?;
    api.attach_thing(&name, &arn).await?;
    api.add_to_group(story::GROUP, &name).await?;
    let certificate_pem = text(&made, "certificatePem")?;
    let pair = made.member("keyPair").unwrap_or(&Json::Null);
    Ok(Identity { name, certificate_pem, private_key_pem: text(pair, "PrivateKey")? })
}

fn unless_exists(outcome: Result<Json, Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if !error.says_exists() => Err(error),
        _ => Ok(()),
    }
}

fn text(operation: &'static str, answer: &Json, member: &str) -> Result<String, Error> {
    let text = answer.member(member).and_then(Json::as_str);
    let why = || format!("`{member}` is missing in it");
    text.map(str::to_owned).ok_or_else(|| Error::Lost { operation, why: why() })
}

fn json(operation: &'static str, text: &str) -> Result<Json, Error> {
    Json::parse(text).map_err(|error| Error::Lost { operation, why: error.to_string() })
}
