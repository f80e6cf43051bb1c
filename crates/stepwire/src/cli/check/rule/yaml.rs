//! Rules in YAML, with CloudFormation's short forms of its functions.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use stepwire_asl::Json;
use stepwire_asl::json::Object;

/// The one document that `text` writes, as JSON; else why it is none. `!Sub x` is `{"Fn::Sub": x}`.
pub(super) fn parse(text: &str) -> Result<Json, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    match documents.as_slice() {
        [document] => json(document),
        _ => Err("it must be one YAML document".to_owned()),
    }
}

fn json(yaml: &Yaml<'_>) -> Result<Json, String> {
    Ok(match yaml {
        Yaml::Value(scalar) => of_scalar(scalar),
        Yaml::Sequence(items) => {
            Json::array(items.iter().map(json).collect::<Result<Vec<_>, _>>()?)
        }
        Yaml::Mapping(members) => {
            let mut object = Object::new();
            for (name, value) in members {
                let name = json(name)?;
                let name = name.as_str().ok_or("a name in it is no text")?;
                object.insert(name.into(), json(value)?);
            }
            Json::Object(object.into())
        }
        Yaml::Tagged(tag, of) => {
            let name = match tag.suffix.as_str() {
                "Ref" => "Ref".to_owned(),
                function => format!("Fn::{function}"),
            };
            Json::object([(name, json(of)?)])
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            return Err("it has a value that makes no sense".to_owned());
        }
    })
}

fn of_scalar(scalar: &Scalar<'_>) -> Json {
    match scalar {
        Scalar::Null => Json::Null,
        Scalar::Boolean(value) => (*value).into(),
        Scalar::Integer(value) => (*value).into(),
        Scalar::FloatingPoint(value) => Json::from_f64(value.into_inner()).unwrap_or_default(),
        Scalar::String(text) => Json::from(&**text),
    }
}
