//! The functions of IoT SQL. Source: AWS IoT SQL reference, "Functions".
//!
//! [`Function`] is their table; each family has a file. A function is total: what it can make
//! nothing of is Undefined.

mod collection;
mod context;
mod encode;
mod hash;
mod number;
mod regex;
mod text;
mod time;

use super::facts::Facts;
use super::value::Value;

/// Functions of the reference that need what this node does not have yet: refused by name.
pub(super) const LATER: &[&str] = &[
    "aws_lambda",
    "get_dynamodb",
    "get_mqtt_property",
    "get_registry_data",
    "get_secret",
    "get_thing_shadow",
    "get_user_properties",
    "machinelearning_predict",
    "md2",
    "parse_time",
    "time_to_epoch",
    "transform",
];

/// `None` stands for Undefined.
type Found = Option<Value>;

macro_rules! functions {
    ($($function:ident $name:literal $least:literal $most:literal $module:ident::$of:ident;)*) => {
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
    Abs "abs" 1 1 number::abs;
    Accountid "accountid" 0 0 context::accountid;
    Acos "acos" 1 1 number::acos;
    Asin "asin" 1 1 number::asin;
    Atan "atan" 1 1 number::atan;
    Atan2 "atan2" 2 2 number::atan2;
    Bitand "bitand" 2 2 number::bitand;
    Bitor "bitor" 2 2 number::bitor;
    Bitxor "bitxor" 2 2 number::bitxor;
    Bitnot "bitnot" 1 1 number::bitnot;
    Ceil "ceil" 1 1 number::ceil;
    Chr "chr" 1 1 text::chr;
    Clientid "clientid" 0 0 context::clientid;
    Concat "concat" 0 100 collection::concat;
    Cos "cos" 1 1 number::cos;
    Cosh "cosh" 1 1 number::cosh;
    Decode "decode" 2 2 encode::decode;
    Encode "encode" 2 2 encode::encode;
    Endswith "endswith" 2 2 text::endswith;
    Exp "exp" 1 1 number::exp;
    Floor "floor" 1 1 number::floor;
    Get "get" 2 2 collection::get;
    GetOrDefault "get_or_default" 2 2 collection::get_or_default;
    Indexof "indexof" 2 2 text::indexof;
    IsNull "isnull" 1 1 collection::isnull;
    IsUndefined "isundefined" 1 1 collection::isundefined;
    Length "length" 1 1 text::length;
    Ln "ln" 1 1 number::ln;
    Log "log" 1 1 number::log;
    Lower "lower" 1 1 text::lower;
    Lpad "lpad" 2 2 text::lpad;
    Ltrim "ltrim" 1 1 text::ltrim;
    Md5 "md5" 1 1 hash::md5;
    Mod "mod" 2 2 number::remainder;
    Nanvl "nanvl" 2 2 collection::get_or_default;
    Newuuid "newuuid" 0 0 context::newuuid;
    Numbytes "numbytes" 1 1 text::numbytes;
    Power "power" 2 2 number::power;
    Principal "principal" 0 0 context::principal;
    Rand "rand" 0 0 context::rand;
    RegexpMatches "regexp_matches" 2 2 regex::matches;
    RegexpReplace "regexp_replace" 3 3 regex::replace;
    RegexpSubstr "regexp_substr" 2 2 regex::substr;
    Remainder "remainder" 2 2 number::remainder;
    Replace "replace" 3 3 text::replace;
    Round "round" 1 1 number::round;
    Rpad "rpad" 2 2 text::rpad;
    Rtrim "rtrim" 1 1 text::rtrim;
    Sha1 "sha1" 1 1 hash::sha1;
    Sha224 "sha224" 1 1 hash::sha224;
    Sha256 "sha256" 1 1 hash::sha256;
    Sha384 "sha384" 1 1 hash::sha384;
    Sha512 "sha512" 1 1 hash::sha512;
    Sign "sign" 1 1 number::sign;
    Sin "sin" 1 1 number::sin;
    Sinh "sinh" 1 1 number::sinh;
    Sourceip "sourceip" 0 0 context::sourceip;
    SqlVersion "sql_version" 0 0 context::sql_version;
    Sqrt "sqrt" 1 1 number::sqrt;
    Startswith "startswith" 2 2 text::startswith;
    Substring "substring" 2 3 text::substring;
    Tan "tan" 1 1 number::tan;
    Tanh "tanh" 1 1 number::tanh;
    Timestamp "timestamp" 0 0 time::timestamp;
    Topic "topic" 0 1 context::topic;
    Traceid "traceid" 0 0 context::traceid;
    Trim "trim" 1 1 text::trim;
    Trunc "trunc" 2 2 number::trunc;
    Upper "upper" 1 1 text::upper;
}

impl Function {
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

    fn int(&self, at: usize) -> Option<i64> {
        self.value(at)?.int()
    }

    fn double(&self, at: usize) -> Option<f64> {
        self.value(at)?.double()
    }
}
