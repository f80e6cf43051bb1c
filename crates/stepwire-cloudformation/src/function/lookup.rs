//! Functions that look something up: mappings, exports, parameters that are stored.

use std::sync::Arc;

use super::{Evaluator, of};
use crate::value::{Place, Value};

impl Evaluator<'_> {
    pub(super) fn find(&mut self, argument: &Value, place: Place) -> Option<Value> {
        let (keys, options) = match argument.as_list() {
            Some([map, first, second]) => ([map, first, second], None),
            Some([map, first, second, options]) => ([map, first, second], Some(options)),
            _ => {
                return Some(self.wrong(
                    place,
                    "Template error: every Fn::FindInMap object requires three parameters, the map \
                     name, map key and the attribute for return value",
                ));
            }
        };
        let keys: Vec<(Option<Value>, Place)> =
            keys.into_iter().map(|key| (self.evaluate(key), key.place)).collect();
        let open = keys.iter().find(|(key, _)| key.as_ref().is_some_and(Value::is_open));
        if let Some((_, place)) = open
            && self.leaves_open(*place, || "a key of Fn::FindInMap is not known here".into())
        {
            let keys = keys.into_iter().filter_map(|(key, _)| key);
            return Some(of("Fn::FindInMap", Value::list(keys)));
        }
        let mut texts: Vec<Arc<str>> = Vec::new();
        for (evaluated, at) in &keys {
            let Some(text) = evaluated.as_ref().and_then(Value::text) else {
                return Some(self.wrong_with(
                    *at,
                    "Template error: Fn::FindInMap takes texts that are known before resources exist"
                        .to_owned(),
                    "use parameters, pseudo parameters and other mappings".to_owned(),
                ));
            };
            texts.push(text);
        }
        let [map, first, second] = &*texts else { return None };
        let default = options.and_then(|options| options.member("DefaultValue"));
        if options.is_some() && (default.is_none() || !self.names.is_extended()) {
            return Some(
                self.wrong_with(
                    place,
                    "Template error: a fourth parameter of Fn::FindInMap is its DefaultValue"
                        .to_owned(),
                    "declare `Transform: AWS::LanguageExtensions` and write `DefaultValue: …`"
                        .to_owned(),
                ),
            );
        }
        let found =
            self.names.mapping(map).and_then(|map| map.member(first)?.member(second)).cloned();
        if let Some(found) = found {
            self.spend(&found, place);
            return if self.is_spent() {
                Some(Value::string(""))
            } else {
                Some(Value { place, ..found })
            };
        }
        if let Some(default) = default {
            return self.evaluate(default);
        }
        Some(if self.names.mapping(map).is_none() {
            self.wrong(
                place,
                format!(
                    "Template error: Mapping named '{map}' is not present in the 'Mappings' section \
                     of template."
                ),
            )
        } else {
            self.wrong(
                place,
                format!("Template error: Unable to get mapping for {map}::{first}::{second}"),
            )
        })
    }

    pub(super) fn import(&mut self, argument: &Value, place: Place) -> Value {
        let Some(name) = self.evaluate(argument) else { return Value::string("").at(place) };
        if name.is_open()
            && self.leaves_open(place, || "the name of an export is not known here".into())
        {
            return of("Fn::ImportValue", name);
        }
        let Some(name) = name.text() else {
            return self.wrong_with(
                place,
                "Template error: the attribute in Fn::ImportValue must not depend on any resources, \
                 imported values, or Fn::GetAZs"
                    .to_owned(),
                "name the export by parameters only".to_owned(),
            );
        };
        match self.names.import(&name) {
            Some(value) => {
                self.imported.insert(name.to_string());
                value
            }
            None if self.leaves_open(place, || format!("Export {name} is not known here")) => {
                of("Fn::ImportValue", Value::string(name).at(place))
            }
            None => self.wrong(place, format!("No export named {name} found.")),
        }
    }

    /// `text` with its `{{resolve:ssm:NAME}}` looked up.
    pub(super) fn dynamic(&mut self, text: &str, place: Place) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{resolve:") {
            out.push_str(before);
            let Some((reference, after)) = after.split_once("}}") else {
                out.push_str("{{resolve:");
                rest = after;
                continue;
            };
            rest = after;
            let (service, name) = reference.split_once(':').unwrap_or((reference, ""));
            if service == "secretsmanager" && !name.is_empty() {
                // Looked up where the resource is made: a secret is in no template.
                out.push_str("{{resolve:");
                out.push_str(reference);
                out.push_str("}}");
                continue;
            }
            if service != "ssm" {
                self.wrong_with(
                    place,
                    format!("Dynamic references to {service} are not supported"),
                    "use {{resolve:ssm:NAME}} or {{resolve:secretsmanager:ID}}".to_owned(),
                );
                continue;
            }
            // A version that follows the name is part of what is looked up.
            match self.names.stored(name).as_ref().and_then(Value::text) {
                Some(value) => {
                    self.bytes = self.bytes.saturating_add(value.len());
                    if self.is_spent() {
                        return out;
                    }
                    out.push_str(&value);
                }
                None if self.leaves_open(place, || format!("{reference} is not known here")) => {
                    out.extend(["{{resolve:", reference, "}}"]);
                }
                None => {
                    self.wrong(place, format!("Parameters: [{name}] cannot be found."));
                }
            }
        }
        out.push_str(rest);
        out
    }
}
