//! The functions of IoT SQL. Source: AWS IoT SQL reference, "Functions".
//!
//! [`Function`] is their table; each family has a file. A function is total: what it can make
//! nothing of is Undefined.

mod arguments;
mod collection;
mod context;
mod encode;
mod hash;
mod number;
mod outside;
mod regex;
mod text;
mod time;

use std::sync::Arc;

use super::Version;
use super::facts::Facts;
use super::number::Number;
use super::value::Value;

pub(super) use regex::Patterns;

/// `None` stands for Undefined.
type Found = Option<Value>;

macro_rules! functions {
    ($(
        $function:ident $name:literal $least:literal $most:literal $since:ident
        $module:ident::$of:ident;
    )*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Function { $($function,)* }

        impl Function {
            /// The function of this name in lower case.
            pub(super) fn named(name: &str) -> Option<Function> {
                match name { $($name => Some(Function::$function),)* _ => None }
            }

            /// Its name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Function::$function => $name,)* }
            }

            /// The names of all.
            pub(super) fn names() -> &'static [&'static str] {
                &[$($name,)*]
            }

            /// The first version of the language that has it.
            pub(super) fn since(self) -> Version {
                match self { $(Function::$function => Version::$since,)* }
            }

            /// Fewest and most arguments.
            pub(super) fn arity(self) -> (usize, usize) {
                match self { $(Function::$function => ($least, $most),)* }
            }

            fn find(self, call: &Call<'_>) -> Found {
                match self { $(Function::$function => $module::$of(call),)* }
            }
        }
    };
}

functions! {
    Abs "abs" 1 1 V2015 number::abs;
    Accountid "accountid" 0 0 V2015 context::accountid;
    Acos "acos" 1 1 V2015 number::acos;
    Asin "asin" 1 1 V2015 number::asin;
    Atan "atan" 1 1 V2015 number::atan;
    Atan2 "atan2" 2 2 V2015 number::atan2;
    AwsLambda "aws_lambda" 2 2 V2015 outside::aws_lambda;
    Bitand "bitand" 2 2 V2015 number::bitand;
    Bitnot "bitnot" 1 1 V2015 number::bitnot;
    Bitor "bitor" 2 2 V2015 number::bitor;
    Bitxor "bitxor" 2 2 V2015 number::bitxor;
    Ceil "ceil" 1 1 V2015 number::ceil;
    Chr "chr" 1 1 V2015 text::chr;
    Clientid "clientid" 0 0 V2015 context::clientid;
    Concat "concat" 0 262_144 V2015 collection::concat;
    Cos "cos" 1 1 V2015 number::cos;
    Cosh "cosh" 1 1 V2015 number::cosh;
    Decode "decode" 2 6 V2016 encode::decode;
    Encode "encode" 2 2 V2016 encode::encode;
    Endswith "endswith" 2 2 V2015 text::endswith;
    Exp "exp" 1 1 V2015 number::exp;
    Floor "floor" 1 1 V2015 number::floor;
    Get "get" 2 2 V2015 collection::get;
    GetDynamodb "get_dynamodb" 4 6 V2016 outside::get_dynamodb;
    GetMqttProperty "get_mqtt_property" 1 1 V2016 context::get_mqtt_property;
    GetOrDefault "get_or_default" 1 2 V2016 collection::or_other;
    GetRegistryData "get_registry_data" 3 3 V2016 outside::get_registry_data;
    GetSecret "get_secret" 3 4 V2015 outside::get_secret;
    GetThingShadow "get_thing_shadow" 2 3 V2016 outside::get_thing_shadow;
    GetUserProperties "get_user_properties" 0 1 V2016 context::get_user_properties;
    Indexof "indexof" 2 2 V2016 text::indexof;
    IsNull "isnull" 1 1 V2015 collection::isnull;
    IsUndefined "isundefined" 1 1 V2016 collection::isundefined;
    Length "length" 1 1 V2016 text::length;
    Ln "ln" 1 1 V2015 number::ln;
    Log "log" 1 1 V2015 number::log;
    Lower "lower" 1 1 V2015 text::lower;
    Lpad "lpad" 2 2 V2015 text::lpad;
    Ltrim "ltrim" 1 1 V2015 text::ltrim;
    MachinelearningPredict "machinelearning_predict" 3 3 V2015 outside::machinelearning_predict;
    Md2 "md2" 1 1 V2015 hash::md2;
    Md5 "md5" 1 1 V2015 hash::md5;
    Mod "mod" 2 2 V2015 number::remainder;
    Nanvl "nanvl" 2 2 V2015 collection::or_other;
    Newuuid "newuuid" 0 0 V2015 context::newuuid;
    Numbytes "numbytes" 1 1 V2016 text::numbytes;
    ParseTime "parse_time" 2 3 V2016 time::parse_time;
    Power "power" 2 2 V2015 number::power;
    Principal "principal" 0 0 V2015 context::principal;
    Rand "rand" 0 0 V2015 context::rand;
    RegexpMatches "regexp_matches" 2 2 V2015 regex::matches;
    RegexpReplace "regexp_replace" 3 3 V2015 regex::replace;
    RegexpSubstr "regexp_substr" 2 2 V2015 regex::substr;
    Remainder "remainder" 2 2 V2015 number::remainder;
    Replace "replace" 3 3 V2015 text::replace;
    Round "round" 1 1 V2015 number::round;
    Rpad "rpad" 2 2 V2015 text::rpad;
    Rtrim "rtrim" 1 1 V2015 text::rtrim;
    Sha1 "sha1" 1 1 V2015 hash::sha1;
    Sha224 "sha224" 1 1 V2015 hash::sha224;
    Sha256 "sha256" 1 1 V2015 hash::sha256;
    Sha384 "sha384" 1 1 V2015 hash::sha384;
    Sha512 "sha512" 1 1 V2015 hash::sha512;
    Sign "sign" 1 1 V2015 number::sign;
    Sin "sin" 1 1 V2015 number::sin;
    Sinh "sinh" 1 1 V2015 number::sinh;
    Sourceip "sourceip" 0 0 V2016 context::sourceip;
    SqlVersion "sql_version" 0 0 V2015 context::sql_version;
    Sqrt "sqrt" 1 1 V2015 number::sqrt;
    Startswith "startswith" 2 2 V2015 text::startswith;
    Substring "substring" 2 3 V2015 text::substring;
    Tan "tan" 1 1 V2015 number::tan;
    Tanh "tanh" 1 1 V2015 number::tanh;
    TimeToEpoch "time_to_epoch" 2 2 V2016 time::time_to_epoch;
    Timestamp "timestamp" 0 0 V2015 time::timestamp;
    Topic "topic" 0 1 V2015 context::topic;
    Traceid "traceid" 0 0 V2015 context::traceid;
    Transform "transform" 3 3 V2016 collection::transform;
    Trim "trim" 1 1 V2015 text::trim;
    Trunc "trunc" 2 2 V2015 number::trunc;
    Upper "upper" 1 1 V2015 text::upper;
}

impl Function {
    /// Its name as AWS's reference writes it.
    pub(super) fn documented(self) -> &'static str {
        match self {
            Function::IsNull => "isNull",
            Function::IsUndefined => "isUndefined",
            other => other.name(),
        }
    }

    /// Whether it reads or copies all of its arguments; the others look at one place.
    pub(super) fn reads_all(self) -> bool {
        !matches!(
            self,
            Function::Get
                | Function::GetOrDefault
                | Function::IsNull
                | Function::IsUndefined
                | Function::Nanvl
        )
    }

    pub(super) fn of(self, values: &[Value], facts: &Facts<'_>) -> Value {
        if !self.takes(values.len()) {
            return Value::Undefined;
        }
        self.find(&Call { values, facts }).unwrap_or(Value::Undefined)
    }
}

/// The arguments of a call, converted as functions want them.
struct Call<'a> {
    values: &'a [Value],
    facts: &'a Facts<'a>,
}

impl Call<'_> {
    fn value(&self, at: usize) -> Option<&Value> {
        self.values.get(at)
    }

    fn text(&self, at: usize) -> Option<String> {
        self.value(at)?.text()
    }

    /// Text that names something: nothing else is converted.
    fn name(&self, at: usize) -> Option<Arc<str>> {
        Some(self.value(at)?.json()?.as_str()?.into())
    }

    fn number(&self, at: usize) -> Option<Number> {
        self.value(at)?.number()
    }

    fn int(&self, at: usize) -> Option<i64> {
        self.value(at)?.int()
    }

    /// An integer, rounded down; from 0 to `most`, or the one of them that is nearest.
    fn clamped(&self, at: usize, most: i64) -> Option<i64> {
        let number = self.number(at)?.floor();
        let beyond = if number.sign() < 0 { 0 } else { most };
        Some(number.as_i64().map_or(beyond, |int| int.clamp(0, most)))
    }

    fn double(&self, at: usize) -> Option<f64> {
        self.value(at)?.double()
    }
}
