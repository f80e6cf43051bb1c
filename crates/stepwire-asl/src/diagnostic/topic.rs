//! The catalogue: every kind of finding with its number and its explanation.

/// A kind of finding. Its number is stable: it is never used for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Not JSON.
    Syntax,
    /// A member is given twice.
    Duplicate,
    /// A transition to a state that is not there.
    NoSuchState,
    /// A state that nothing leads to.
    Unreachable,
    /// A flow without an end.
    NoEnd,
    /// Two states of one name.
    NameTaken,
    /// A name AWS does not take.
    BadName,
    /// Too many levels.
    Depth,
    /// A field that is not known here.
    UnknownField,
    /// A field that must be there.
    MissingField,
    /// A value of the wrong type, out of range or not among the words allowed.
    BadValue,
    /// Fields that exclude one another.
    Conflict,
    /// A path, template or intrinsic call that cannot be read.
    Expression,
    /// A JSONata expression that cannot be used.
    Jsonata,
    /// A field of the other query language.
    QueryLanguage,
    /// Error names of Retry and Catch.
    ErrorNames,
    /// A `Resource` that names nothing.
    Resource,
    /// A resource that this stepwire does not carry out.
    Unavailable,
    /// What Express state machines cannot do.
    Express,
    /// The answer can arrive before its token is stored.
    EarlyAnswer,
    /// Waits without a limit.
    NoTimeLimit,
    /// The token goes nowhere.
    UnusedToken,
    /// Nobody handles silence.
    UnhandledSilence,
    /// A loop that nothing leaves.
    EndlessLoop,
    /// A variable that nothing assigns.
    UnknownVariable,
    /// A path under a name without `.$`.
    NoDollar,
    /// A path in a field that takes none.
    NoPath,
    /// A path in the fixed result of a Pass state.
    StaticResult,
}

impl Topic {
    /// All of them, by number.
    pub const ALL: [Topic; 28] = [
        Topic::Syntax,
        Topic::Duplicate,
        Topic::NoSuchState,
        Topic::Unreachable,
        Topic::NoEnd,
        Topic::NameTaken,
        Topic::BadName,
        Topic::Depth,
        Topic::UnknownField,
        Topic::MissingField,
        Topic::BadValue,
        Topic::Conflict,
        Topic::Expression,
        Topic::Jsonata,
        Topic::QueryLanguage,
        Topic::ErrorNames,
        Topic::Resource,
        Topic::Unavailable,
        Topic::Express,
        Topic::EarlyAnswer,
        Topic::NoTimeLimit,
        Topic::UnusedToken,
        Topic::UnhandledSilence,
        Topic::EndlessLoop,
        Topic::UnknownVariable,
        Topic::NoDollar,
        Topic::NoPath,
        Topic::StaticResult,
    ];

    /// What a finding with AWS's code is about, unless something more exact is known.
    pub fn of(code: &str) -> Topic {
        match code {
            "INVALID_JSON_DESCRIPTION" | "MISSING_DESCRIPTION" => Topic::Syntax,
            "MISSING_TRANSITION_TARGET" => Topic::NoSuchState,
            "MISSING_END_STATE" => Topic::NoEnd,
            "DUPLICATE_STATE_NAME" | "DUPLICATE_LABEL_NAME" => Topic::NameTaken,
            "INVALID_STATE_NAME" | "INVALID_LABEL_NAME" => Topic::BadName,
            "TOO_DEEPLY_NESTED" => Topic::Depth,
            "INVALID_RESOURCE" => Topic::Resource,
            "INVALID_JSONATA_EXPRESSION" | "UNSUPPORTED_JSONATA_EXPRESSION" => Topic::Jsonata,
            _ => Topic::BadValue,
        }
    }

    /// Its number, such as `SW0203`.
    pub fn number(self) -> &'static str {
        match self {
            Topic::Syntax => "SW0201",
            Topic::Duplicate => "SW0202",
            Topic::NoSuchState => "SW0203",
            Topic::Unreachable => "SW0204",
            Topic::NoEnd => "SW0205",
            Topic::NameTaken => "SW0206",
            Topic::BadName => "SW0207",
            Topic::Depth => "SW0208",
            Topic::UnknownField => "SW0210",
            Topic::MissingField => "SW0211",
            Topic::BadValue => "SW0212",
            Topic::Conflict => "SW0213",
            Topic::Expression => "SW0214",
            Topic::Jsonata => "SW0215",
            Topic::QueryLanguage => "SW0216",
            Topic::ErrorNames => "SW0217",
            Topic::Resource => "SW0220",
            Topic::Unavailable => "SW0221",
            Topic::Express => "SW0222",
            Topic::EarlyAnswer => "SW0250",
            Topic::NoTimeLimit => "SW0251",
            Topic::UnusedToken => "SW0252",
            Topic::UnhandledSilence => "SW0253",
            Topic::EndlessLoop => "SW0254",
            Topic::UnknownVariable => "SW0255",
            Topic::NoDollar => "SW0256",
            Topic::NoPath => "SW0257",
            Topic::StaticResult => "SW0258",
        }
    }

    /// What it is, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Topic::Syntax => "the text is not JSON",
            Topic::Duplicate => "a member is given twice",
            Topic::NoSuchState => "a state is not defined",
            Topic::Unreachable => "nothing leads to a state",
            Topic::NoEnd => "a workflow does not end",
            Topic::NameTaken => "two states have one name",
            Topic::BadName => "a name is not allowed",
            Topic::Depth => "too many levels",
            Topic::UnknownField => "a field is not known here",
            Topic::MissingField => "a field is missing",
            Topic::BadValue => "a value is not allowed",
            Topic::Conflict => "fields exclude one another",
            Topic::Expression => "a path, template or call cannot be read",
            Topic::Jsonata => "a JSONata expression cannot be used",
            Topic::QueryLanguage => "a field of the other query language",
            Topic::ErrorNames => "error names of `Retry` or `Catch`",
            Topic::Resource => "a resource is not an ARN of something that can be called",
            Topic::Unavailable => "stepwire does not carry this out",
            Topic::Express => "Express state machines cannot do this",
            Topic::EarlyAnswer => "the answer can arrive before its token is stored",
            Topic::NoTimeLimit => "a task may wait for a year",
            Topic::UnusedToken => "the token of a waiting task goes nowhere",
            Topic::UnhandledSilence => "nobody handles a silent device",
            Topic::EndlessLoop => "a loop has no way out",
            Topic::UnknownVariable => "a variable is never assigned",
            Topic::NoDollar => "a path is taken as plain text",
            Topic::NoPath => "a field does not take paths",
            Topic::StaticResult => "the result of a Pass state is fixed",
        }
    }

    /// Why it is reported and what to do about it: a paragraph or two of Markdown.
    pub fn explanation(self) -> &'static str {
        match self {
            Topic::Syntax => {
                "The definition must be JSON (RFC 8259): double quotes around names and strings, no \
                 comma before a closing bracket, no comments. The message is the one of the parser \
                 behind Step Functions, so that it can be searched for. Half of a UTF-16 pair \
                 (`\\ud800` alone) is no character and is refused too."
            }
            Topic::Duplicate => {
                "An object gives the same member twice. JSON parsers keep one of them and drop the \
                 other without a word, so one of the two would be ignored. Remove or rename one; two \
                 states cannot share a name."
            }
            Topic::NoSuchState => {
                "`StartAt`, `Next` or `Default` names a state that is not in the same `States` \
                 object. Names are compared letter by letter, case included. A branch of a Parallel \
                 or Map state is a world of its own: its states lead only to one another, and \
                 nothing outside leads into it. To leave a branch on an error, put the `Catch` on the \
                 Parallel or Map state."
            }
            Topic::Unreachable => {
                "No path from `StartAt` through `Next`, `Default`, `Choices` and `Catch` leads to \
                 this state, so it can never run. Step Functions refuses such definitions. Lead to \
                 it, or remove it."
            }
            Topic::NoEnd => {
                "No state of the workflow (or of this branch) ends it: none is a Succeed or Fail \
                 state or has `\"End\": true`. Every execution would go round until it has 25,000 \
                 events."
            }
            Topic::NameTaken => {
                "State names are unique in the whole state machine, branches included, since histories \
                 and `$$.State.Name` tell only the name. The same holds for the `Label`s of Map \
                 states."
            }
            Topic::BadName => {
                "State names have 1 to 80 characters; a `Label` has at most 40 and none of \
                 `` ? * < > { } [ ] : ; , \\ | ^ ~ $ # % & ` \" ``."
            }
            Topic::Depth => {
                "JSON may be nested 127 levels deep and branches 32 levels; deeper definitions are \
                 refused before they cost memory."
            }
            Topic::UnknownField => {
                "The state machine, the state or the object does not have a field of this name. \
                 Fields are spelled in CamelCase and depend on the state's type: `TimeoutSeconds` \
                 belongs to Task states and the state machine, `Retry` and `Catch` to Task, Parallel \
                 and Map states. A note can be kept in `Comment`."
            }
            Topic::MissingField => {
                "A field that must be there is missing: `Type` and, but for Choice, Succeed and Fail \
                 states, one of `Next` and `End`; `Resource` of a Task, `Choices` of a Choice, \
                 `Branches` of a Parallel, `ItemProcessor` of a Map state; `ErrorEquals` of a retrier \
                 or catcher, `Next` of a catcher or choice rule."
            }
            Topic::BadValue => {
                "The value has the wrong type, is out of range or is not among the words allowed. \
                 Seconds are whole numbers up to 99,999,999; `BackoffRate` is at least 1.0, \
                 `MaxAttempts` 0 to 99,999,999; timestamps are RFC 3339 with a capital `T` and a zone."
            }
            Topic::Conflict => {
                "Of these fields the state has at most one: a value and the path to read it from \
                 (`TimeoutSeconds`, `TimeoutSecondsPath`), or `Next` and `End`."
            }
            Topic::Expression => {
                "A field whose name ends in `.$` or `Path` holds a JSONPath (`$.a.b`, `$$.Execution.Id`, \
                 `$variable.x`) or a call of an intrinsic function (`States.Format('{}', $.a)`). \
                 `ResultPath` and other Reference Paths name exactly one place: no `*`, `..`, filters \
                 or slices."
            }
            Topic::Jsonata => {
                "A text between `{%` and `%}` is a JSONata expression. The state's data is in \
                 `$states.input`, `$states.result`, `$states.errorOutput` (in a `Catch`) and \
                 `$states.context`, variables are `$name`; there is no context item, so that neither \
                 `$`, `$$` nor a bare name at the top level means anything. `$eval` is not available."
            }
            Topic::QueryLanguage => {
                "Each state speaks one query language, its own or the state machine's. JSONPath has \
                 `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath` and the \
                 fields ending in `Path`; JSONata has `Arguments`, `Output`, `Items` and `Condition`. \
                 A state of a JSONata state machine cannot go back to JSONPath."
            }
            Topic::ErrorNames => {
                "`States.ALL` matches everything, so it stands alone in its `ErrorEquals` and in the \
                 last retrier or catcher: nothing behind it could ever match. Names that begin with \
                 `States.` are reserved."
            }
            Topic::Resource => {
                "`Resource` is the ARN of a service integration (`arn:aws:states:::lambda:invoke`, \
                 `arn:aws:states:::aws-sdk:iot:describeThing`), of a function or of an activity. \
                 `.sync`, `.sync:2` and `.waitForTaskToken` say how the task waits."
            }
            Topic::Unavailable => {
                "On AWS this works; this stepwire has nobody to do it. It is refused here, where it is \
                 written, and never accepted and skipped. COMPAT.md lists what is there."
            }
            Topic::Express => {
                "Express state machines are not durable: they cannot wait for a job (`.sync`), for a \
                 token (`.waitForTaskToken`), for an activity, or run a distributed Map. Use the type \
                 `STANDARD`."
            }
            Topic::EarlyAnswer => {
                "One state sends a message to a device, a later one waits for the answer with a task \
                 token. The device may answer before the later state has stored the token: the answer \
                 finds no token, is dropped, and the task waits until its time is up. The faster \
                 device and engine are, the likelier it is.\n\n\
                 Publish from the state that waits: give the token to the task that sends the message \
                 (`.waitForTaskToken` on the publishing task, the token in its parameters), or store \
                 the token first and publish then."
            }
            Topic::NoTimeLimit => {
                "The task waits for a token without `TimeoutSeconds` and `HeartbeatSeconds`. When \
                 the answer never comes, the execution stays open until it is a year old."
            }
            Topic::UnusedToken => {
                "The task waits for its token to come back but never gives it to anybody: its \
                 parameters contain neither `$$.Task.Token` nor `$states.context.Task.Token`. It can \
                 only run out of time."
            }
            Topic::UnhandledSilence => {
                "A device that does not answer in time fails the task with `States.Timeout` (a missed \
                 heartbeat too; `States.HeartbeatTimeout` matches it). No `Retry` or `Catch` of the \
                 state, or of a Parallel or Map state around it, matches that, so one silent device \
                 fails the whole execution."
            }
            Topic::EndlessLoop => {
                "From this state no path leads to an end. Whoever enters the loop goes round until \
                 the execution has 25,000 events or is timed out."
            }
            Topic::UnknownVariable => {
                "An expression reads `$name`, and no `Assign` of the state machine sets it. A variable \
                 that is not set fails the state when it runs."
            }
            Topic::NoDollar => {
                "The value looks like a path or a call of an intrinsic function, but its name does \
                 not end in `.$`, so the text itself is passed on. Append `.$` to the name if the \
                 value is to be computed."
            }
            Topic::NoPath => {
                "The value looks like a path, but the field takes no paths: its sibling does whose name \
                 ends in `Path`."
            }
            Topic::StaticResult => {
                "`Result` of a Pass state is passed on as it is written; paths in it are not read. Use \
                 `Parameters` to compute a value."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_are_never_shared() {
        let numbers = Topic::ALL.map(Topic::number);
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    }
}
