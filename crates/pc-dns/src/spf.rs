use pc_auth::spf::{Answers, Outcome, Question, Step, evaluate, relevant};

use crate::{Budget, Resolver};

/// Asks what the evaluation needs, one question after the other, until it is done. Always ends: each
/// turn adds an answer, RFC 7208 4.6.4 bounds the questions, and a spent budget is an answer as well.
pub async fn evaluate_spf(resolver: &Resolver, budget: &Budget, question: &Question) -> Outcome {
    let mut answers = Answers::new();
    loop {
        match evaluate(question, &answers) {
            Step::Done(outcome) => return outcome,
            Step::Ask(query) => {
                let answer = resolver.ask(budget, &query).await;
                answers.insert(query, relevant(answer));
            }
        }
    }
}
