//! `AWS::SecretsManager::*`.

use std::sync::Arc;

use stepwire_asl::Json;
use stepwire_asl::json::Object;

use super::property::{boolean, integer, object, tags, text};
use super::resource::{Resource, ask, listed, made, s, told};
use super::{Ask, Kind};
use crate::request::Service::SecretsManager;

const NO_ROTATION: &str = "secrets are not rotated; put new values by PutSecretValue";

pub(super) const KINDS: &[Kind] = &[
    SECRET,
    Kind::refused(
        "AWS::SecretsManager::ResourcePolicy",
        "secrets have no policies: who may use the API may read them",
    ),
    Kind::refused("AWS::SecretsManager::RotationSchedule", NO_ROTATION),
    Kind::refused(
        "AWS::SecretsManager::SecretTargetAttachment",
        "there are no databases that it could name; put the members into the secret yourself",
    ),
];

const GENERATE: &str = "GenerateSecretString";

fn name(secret: &Resource<'_>) -> String {
    secret.text("Name").map_or_else(|| secret.context.short_name(512), str::to_owned)
}

/// The request for the password that is generated, if one is to be.
fn password(secret: &Resource<'_>) -> Option<Ask> {
    let generate = secret.get(GENERATE)?;
    let of = |name: &str| generate.member(name).cloned();
    let asked = [
        ("PasswordLength", of("PasswordLength")),
        ("ExcludeCharacters", of("ExcludeCharacters")),
        ("ExcludeNumbers", of("ExcludeNumbers")),
        ("ExcludePunctuation", of("ExcludePunctuation")),
        ("ExcludeUppercase", of("ExcludeUppercase")),
        ("ExcludeLowercase", of("ExcludeLowercase")),
        ("IncludeSpace", of("IncludeSpace")),
        ("RequireEachIncludedType", of("RequireEachIncludedType")),
    ];
    Some(ask(SecretsManager, "GetRandomPassword", asked))
}

/// The value, with the generated password if there is one. The error is what is wrong with the
/// properties.
fn value(secret: &Resource<'_>, password: &str) -> Result<Option<Json>, String> {
    let Some(generate) = secret.get(GENERATE) else { return Ok(secret.take("SecretString")) };
    if secret.get("SecretString").is_some() {
        return Err("You can't specify both SecretString and GenerateSecretString".to_owned());
    }
    let of = |name: &str| generate.member(name).and_then(Json::as_str);
    match (of("SecretStringTemplate"), of("GenerateStringKey")) {
        (None, None) => Ok(s(password)),
        (Some(template), Some(key)) => {
            let parsed = Json::parse(template).ok();
            let parsed = parsed.as_ref().and_then(Json::as_object);
            let mut members =
                Object::clone(parsed.ok_or("SecretStringTemplate is no JSON object")?);
            members.insert(key.into(), password.into());
            Ok(s(Json::Object(Arc::new(members)).to_text()))
        }
        _ => Err("SecretStringTemplate and GenerateStringKey must be given together".to_owned()),
    }
}

/// What it is once it has this ARN; one that is not told yet is nobody's.
fn arn(secret: &Resource<'_>, told: &str) -> String {
    if !told.is_empty() {
        return told.to_owned();
    }
    let suffix: String = secret.context.token.chars().take(6).collect();
    secret.arn("secretsmanager", &format!("secret:{}-{suffix}", name(secret)))
}

const SECRET: Kind = Kind {
    attributes: &["Id"],
    create: |secret, answers| {
        let mut asks: Vec<Ask> = password(secret).into_iter().collect();
        if answers.len() < asks.len() {
            value(secret, "")?;
            return Ok(asks);
        }
        let drawn = if asks.is_empty() { "" } else { told(answers, 0, "RandomPassword") };
        let asked = [
            ("Name", s(name(secret))),
            ("Description", secret.take("Description")),
            ("KmsKeyId", secret.take("KmsKeyId")),
            ("SecretString", value(secret, drawn)?),
            ("Tags", secret.tag_list("Key", "Value")),
        ];
        asks.push(ask(SecretsManager, "CreateSecret", asked));
        Ok(asks)
    },
    made: |secret, answers| {
        let at = usize::from(secret.get(GENERATE).is_some());
        let arn = arn(secret, told(answers, at, "ARN"));
        made(arn.clone(), [("Id", arn)])
    },
    update: |update, answers| {
        let secret = &update.new;
        let mut asks = Vec::new();
        let valued = update.changes_any(&["SecretString", GENERATE]);
        if valued {
            asks.extend(password(secret));
            if answers.len() < asks.len() {
                value(secret, "")?;
                return Ok(asks);
            }
        }
        if valued || update.changes_any(&["Description", "KmsKeyId"]) {
            let drawn = if asks.is_empty() { "" } else { told(answers, 0, "RandomPassword") };
            let asked = [
                ("SecretId", update.id()),
                ("Description", secret.take("Description").or_else(|| s(""))),
                ("KmsKeyId", secret.take("KmsKeyId")),
                ("SecretString", value(secret, drawn)?.filter(|_| valued)),
            ];
            asks.push(ask(SecretsManager, "UpdateSecret", asked));
        }
        let tags = update.retagged();
        if !tags.gone.is_empty() {
            let asked = [("SecretId", update.id()), ("TagKeys", tags.keys())];
            asks.push(ask(SecretsManager, "UntagResource", asked));
        }
        if !tags.set.is_empty() {
            let set = listed(tags.set, "Key", "Value");
            let asked = [("SecretId", update.id()), ("Tags", Some(set))];
            asks.push(ask(SecretsManager, "TagResource", asked));
        }
        Ok(asks)
    },
    delete: |_, made, _| {
        let asked = [("SecretId", made.id()), ("ForceDeleteWithoutRecovery", Some(true.into()))];
        vec![ask(SecretsManager, "DeleteSecret", asked)]
    },
    ..Kind::new(
        "AWS::SecretsManager::Secret",
        &[
            text("Name").replaces(),
            text("Description"),
            text("SecretString"),
            object(
                GENERATE,
                &[
                    text("ExcludeCharacters"),
                    boolean("ExcludeLowercase"),
                    boolean("ExcludeNumbers"),
                    boolean("ExcludePunctuation"),
                    boolean("ExcludeUppercase"),
                    text("GenerateStringKey"),
                    boolean("IncludeSpace"),
                    integer("PasswordLength"),
                    boolean("RequireEachIncludedType"),
                    text("SecretStringTemplate"),
                ],
            ),
            text("KmsKeyId").shown("nothing is encrypted with it"),
            text("ReplicaRegions").refused("there is one region"),
            text("Type").refused("secrets of partners are not managed"),
            tags(),
        ],
    )
};
