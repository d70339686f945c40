use super::*;

/// One whose first question was answered.
fn heard() -> Questions {
    let mut questions = Questions::new();
    questions.listen();
    assert_eq!(questions.answered(false), None);
    questions
}

#[test]
fn where_nobody_listens_nothing_is_asked() {
    let mut questions = Questions::new();
    questions.opened(true);
    questions.lost();
    assert!(!questions.is_due());
}

#[test]
fn the_first_socket_after_a_gap_is_asked_and_those_beside_it_are_not() {
    let mut questions = heard();
    questions.opened(false);
    assert!(!questions.is_due());
    questions.opened(true);
    assert!(questions.is_due() && questions.is_stale());
    questions.asked();
    assert!(!questions.is_due());
    questions.answered(false);
    assert!(!questions.is_due() && !questions.is_stale());
}

#[test]
fn a_socket_that_the_server_ends_makes_those_beside_it_be_asked() {
    let mut questions = heard();
    questions.lost();
    assert!(questions.is_due());
}

#[test]
fn what_happens_while_a_question_is_under_way_asks_for_another() {
    let mut questions = heard();
    questions.opened(true);
    questions.asked();
    questions.lost();
    assert!(!questions.is_due());
    questions.answered(false);
    assert!(questions.is_due());
}

#[test]
fn a_question_without_an_answer_is_repeated_ever_more_rarely_until_there_is_one() {
    let mut questions = heard();
    questions.opened(true);
    let mut delays = Vec::new();
    for _ in 0..12 {
        questions.asked();
        delays.push(questions.failed(1.0).as_millis());
        questions.opened(true);
        assert!(!questions.is_due(), "not with each connection that it may have cost");
        questions.elapsed();
        assert!(questions.is_due());
    }
    assert_eq!(delays[..4], [100, 200, 400, 800]);
    assert_eq!(delays[11], LONGEST_DELAY.as_millis());
    questions.asked();
    questions.answered(false);
    questions.opened(true);
    questions.asked();
    assert_eq!(questions.failed(1.0), DELAY);
}

#[test]
fn a_question_that_was_not_sent_is_soon_repeated_and_counts_for_nothing() {
    let mut questions = heard();
    questions.opened(true);
    for _ in 0..9 {
        questions.asked();
        assert_eq!(questions.unsent(), DELAY);
        assert!(!questions.is_due(), "what cannot be sent now is no reason to spin");
        questions.elapsed();
        assert!(questions.is_due());
    }
}

#[test]
fn a_plugin_of_which_nothing_may_be_called_is_looked_at_again() {
    let mut questions = heard();
    questions.opened(true);
    questions.asked();
    assert_eq!(questions.answered(true), Some(LOOK_AGAIN));
    assert!(!questions.is_due());
    questions.elapsed();
    assert!(questions.is_due() && questions.opens());
    questions.asked();
    assert_eq!(questions.answered(false), None);
    assert!(!questions.opens());
}

/// The caller's question was answered while the plugin's own was to wait.
#[test]
fn a_callers_answer_ends_the_wait_for_the_next_question() {
    let mut questions = heard();
    questions.opened(true);
    questions.asked();
    questions.failed(0.5);
    assert!(!questions.is_due());
    assert_eq!(questions.answered(false), None, "nobody tells when the wait is over any more");
    assert!(questions.is_due());
    questions.asked();
    questions.answered(false);
    questions.opened(true);
    assert!(questions.is_due());
}
