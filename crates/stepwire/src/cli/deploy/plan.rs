//! What would become of each resource.

use stepwire_cloudformation::{Diagnostic, Given, Place, Template};
use stepwire_core::stacks::kinds::{self, Support, Verdict};

use super::config::Settings;
use crate::config::Config;

/// What a template comes to here.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of the source.
    pub(super) resources: Vec<Planned>,
    /// What else the author should know.
    pub(super) notes: Vec<Diagnostic>,
}

/// A resource.
#[derive(Debug)]
pub(super) struct Planned {
    /// Its name in the template.
    pub(super) logical_id: String,
    /// Its type.
    pub(super) kind: String,
    /// What becomes of it.
    pub(super) verdict: Becomes,
    /// Where it stands.
    pub(super) place: Place,
    /// What of its properties is worth telling.
    pub(super) findings: Vec<Found>,
}

/// What becomes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// It is made.
    Served,
    /// It is in the stack alone, for this reason.
    WithoutEffect(&'static str),
    /// The same, because the caller allows it to be missing.
    Placeholder,
    /// It is refused; what to do.
    Refused(&'static str),
}

/// A property without effect, or refused.
#[derive(Debug)]
pub(super) struct Found {
    /// Names and numbers with dots between.
    pub(super) path: String,
    /// Whether the resource cannot be made with it.
    pub(super) refused: bool,
    /// Why.
    pub(super) why: String,
    /// Where it stands.
    pub(super) place: Place,
}

impl Plan {
    /// The plan for `template`. Errors: what is wrong with it before its resources are looked at.
    pub(super) fn of(
        template: &Template,
        settings: &Settings,
        allowed: &[String],
    ) -> Result<Plan, Vec<Diagnostic>> {
        let name = &settings.stack_name;
        let declared = template.parameters();
        let Config { region, account, .. } = Config::default();
        let given = Given {
            parameters: settings
                .parameters
                .iter()
                .filter(|(name, _)| declared.contains_key(*name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            partition: "aws".to_owned(),
            stack_name: name.clone(),
            stack_id: format!("arn:aws:cloudformation:{region}:{account}:stack/{name}/dry-run"),
            region,
            account,
            url_suffix: "amazonaws.com".to_owned(),
            ..Given::default()
        };
        let expanded = template.expand(&given)?;
        let resources = expanded.resources.values().map(|resource| {
            let verdict = becomes(&resource.kind, allowed);
            let findings = kinds::examine(&resource.kind, &resource.properties.to_json());
            let place = |path: &[String]| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                expanded.property_place(&resource.logical_id, &path)
            };
            let found = findings.iter().filter_map(|finding| {
                let (refused, why) = match finding.verdict {
                    Verdict::ActedOn => return None,
                    Verdict::WithoutEffect(why) => (false, why.to_owned()),
                    Verdict::Refused => (true, finding.message.clone()),
                };
                let place = place(&finding.path);
                Some(Found { path: finding.shown_path(), refused, why, place })
            });
            let examined = matches!(verdict, Becomes::Served);
            Planned {
                findings: if examined { found.collect() } else { Vec::new() },
                logical_id: resource.logical_id.clone(),
                kind: resource.kind.clone(),
                verdict,
                place: resource.place,
            }
        });
        Ok(Plan { resources: resources.collect(), notes: expanded.notes.clone() })
    }

    /// How many resources and properties are refused.
    pub(super) fn refused(&self) -> usize {
        let of = |planned: &Planned| {
            let own = usize::from(matches!(planned.verdict, Becomes::Refused(_)));
            own + planned.findings.iter().filter(|found| found.refused).count()
        };
        self.resources.iter().map(of).sum()
    }

    /// How many resources and properties are accepted without effect.
    pub(super) fn without_effect(&self) -> usize {
        let of = |planned: &Planned| {
            let own = matches!(planned.verdict, Becomes::WithoutEffect(_) | Becomes::Placeholder);
            usize::from(own) + planned.findings.iter().filter(|found| !found.refused).count()
        };
        self.resources.iter().map(of).sum()
    }
}

fn becomes(kind: &str, allowed: &[String]) -> Becomes {
    match kinds::support(kind) {
        Support::Served => Becomes::Served,
        Support::WithoutEffect(why) => Becomes::WithoutEffect(why),
        Support::Refused(_) if allowed.iter().any(|allowed| allows(allowed, kind)) => {
            Becomes::Placeholder
        }
        Support::Refused(hint) => Becomes::Refused(hint),
    }
}

/// Whether `--allow-missing` with this value speaks of the type.
fn allows(allowed: &str, kind: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => allowed == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_types_are_allowed_by_name_by_beginning_or_all() {
        let kind = "AWS::Timestream::Table";
        for allowed in ["*", kind, "AWS::Timestream::*"] {
            assert_eq!(becomes(kind, &[allowed.to_owned()]), Becomes::Placeholder, "{allowed}");
        }
        assert!(matches!(becomes(kind, &["AWS::Glue::Job".to_owned()]), Becomes::Refused(_)));
        assert_eq!(becomes("AWS::SQS::Queue", &["*".to_owned()]), Becomes::Served);
    }
}
