//! Topics on which devices ask for jobs.

const PREFIX: &str = "$aws/things/";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// GetPendingJobExecutions
    Pending,
    /// StartNextPendingJobExecution
    StartNext,
    /// DescribeJobExecution of this job, which may be `$next`.
    Describe(&'a str),
    /// UpdateJobExecution of this job.
    Update(&'a str),
}

/// A topic taken apart: `$aws/things/<thing>/jobs/<operation>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestTopic<'a> {
    /// The thing.
    pub(crate) thing: &'a str,
    /// What is asked.
    pub(crate) operation: Operation<'a>,
}

impl<'a> RequestTopic<'a> {
    /// What a topic asks for; `None` for other topics, those of answers included.
    pub(crate) fn of(topic: &'a str) -> Option<RequestTopic<'a>> {
        let (thing, rest) = topic.strip_prefix(PREFIX)?.split_once("/jobs/")?;
        if thing.is_empty() || thing.contains('/') {
            return None;
        }
        let operation = match rest.split_once('/') {
            None if rest == "get" => Operation::Pending,
            None if rest == "start-next" => Operation::StartNext,
            Some((job, "get")) if !job.is_empty() => Operation::Describe(job),
            Some((job, "update")) if !job.is_empty() => Operation::Update(job),
            _ => return None,
        };
        Some(RequestTopic { thing, operation })
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_topic_names_thing_job_and_operation() {
        let operation = |topic| RequestTopic::of(topic).map(|asked| asked.operation);
        assert_eq!(operation("$aws/things/a/jobs/get"), Some(Operation::Pending));
        assert_eq!(operation("$aws/things/a/jobs/start-next"), Some(Operation::StartNext));
        assert_eq!(operation("$aws/things/a/jobs/$next/get"), Some(Operation::Describe("$next")));
        assert_eq!(operation("$aws/things/a/jobs/j/update"), Some(Operation::Update("j")));
        for other in [
            "$aws/things/a/jobs/get/accepted",
            "$aws/things/a/jobs/j/update/rejected",
            "$aws/things/a/jobs/notify",
            "$aws/things/a/jobs/notify-next",
            "$aws/things//jobs/get",
            "$aws/things/a/b/jobs/get",
            "$aws/things/a/shadow/get",
            "aws/things/a/jobs/get",
        ] {
            assert_eq!(RequestTopic::of(other), None, "{other}");
        }
    }
}
