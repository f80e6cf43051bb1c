//! Destinations as the API shows them.

use std::sync::Arc;

use stepwire_asl::{Json, Timestamp};

use super::record::{Destination, Sending, Status, all, one};
use super::{Request, denied, id_of};
use crate::error::ApiError;
use crate::read::Read;
use crate::record::Corrupt;
use crate::settings::Settings;

/// The answer to a request that reads; AWS's members of the operation's output.
pub(crate) fn answer(
    request: &Request,
    read: &dyn Read,
    settings: &Settings,
) -> Result<Json, ApiError> {
    match request {
        Request::Get(arn) => {
            let found = one(id_of(arn, settings)?, read).map_err(internal)?;
            let found = found.ok_or_else(|| denied(arn))?;
            Ok(Json::object([(
                "topicRuleDestination",
                shown(&found, "httpUrlProperties", settings),
            )]))
        }
        Request::List { limit, after } => {
            let mut found = all(read).map_err(internal)?;
            found.retain(|one| after.as_ref().is_none_or(|after| one.id > *after));
            let next = (found.len() > *limit).then(|| Arc::clone(&found[limit - 1].id));
            found.truncate(*limit);
            let items = found.iter().map(|one| shown(one, "httpUrlSummary", settings));
            let mut members = vec![("destinationSummaries", Json::array(items))];
            members.extend(next.map(|next| ("nextToken", Json::String(next))));
            Ok(Json::object(members))
        }
        Request::Create { .. }
        | Request::Update { .. }
        | Request::Delete(_)
        | Request::Confirm { .. } => {
            Err(ApiError::new("InvalidRequestException", "this request changes something"))
        }
    }
}

/// A destination with what is about its URL under `http`.
pub(super) fn shown(destination: &Destination, http: &'static str, settings: &Settings) -> Json {
    let seconds = |at: Timestamp| Json::from_f64(at.seconds()).unwrap_or_default();
    let mut members = vec![
        ("arn", Json::from(destination.arn(settings))),
        ("status", destination.status.name().into()),
        ("createdAt", seconds(destination.created)),
        ("lastUpdatedAt", seconds(destination.updated)),
    ];
    members.extend(reason(destination).map(|reason| ("statusReason", reason.into())));
    let url = Json::String(Arc::clone(&destination.url));
    members.push((http, Json::object([("confirmationUrl", url)])));
    Json::object(members)
}

fn reason(destination: &Destination) -> Option<String> {
    let challenge = &destination.challenge;
    match destination.status {
        Status::Enabled | Status::Disabled => None,
        Status::Error => destination.reason.as_deref().map(str::to_owned),
        Status::InProgress => {
            let waits = "Awaiting confirmation.";
            Some(match (challenge.request, &challenge.why) {
                (Sending::Arrived(at), _) => {
                    format!("{waits} Confirmation message sent on {}.", at.rfc3339())
                }
                (Sending::Due(_), Some(why)) => format!(
                    "{waits} The confirmation message could not be delivered ({} tries) and will be \
                     sent again: {why}",
                    challenge.failed
                ),
                (Sending::Due(_) | Sending::UnderWay | Sending::Ended, _) => format!(
                    "{waits} Confirmation message sent on {}; no response received from the \
                     endpoint.",
                    challenge.made.rfc3339()
                ),
            })
        }
    }
}

fn internal(corrupt: Corrupt) -> ApiError {
    ApiError::new("InternalException", corrupt.to_string())
}
