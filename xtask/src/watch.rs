//! A line for each change of a payment: what the API says, as a person would read it.

use std::collections::HashMap;
use std::io::IsTerminal;

use serde_json::Value;

use crate::http;

/// More than ever changes between two looks.
const LOOK_AT: usize = 100;

/// Payments shown so far.
pub struct Watch {
    url: String,
    shown: HashMap<String, Shown>,
    first_look: bool,
    coloured: bool,
}

impl Watch {
    pub fn new(api: &str) -> Self {
        let url = format!("{api}/v1/payments?limit={LOOK_AT}");
        Self { url, shown: HashMap::new(), first_look: true, coloured: std::io::stdout().is_terminal() }
    }

    /// Prints the payments that are new or have changed, and returns true if there were any. An API that does not answer
    /// just now is asked again; if it has died, the caller's watch of the processes reports it.
    pub fn print_news(&mut self) -> bool {
        let Some(payments) = self.payments() else { return false };
        // Payments of an earlier run are no news.
        let quiet = std::mem::replace(&mut self.first_look, false);
        let news = self.news(&payments);
        for line in news.iter().filter(|_| !quiet) {
            println!("{line}");
        }
        if quiet && !payments.is_empty() {
            println!("Payments of earlier runs are in the database already; here come the new ones.");
        }
        !quiet && !news.is_empty()
    }

    fn payments(&self) -> Option<Vec<Value>> {
        let mut answer: Value = serde_json::from_str(&http::get(&self.url)?).ok()?;
        Some(answer["data"].as_array_mut()?.drain(..).collect())
    }

    /// The lines for what has changed since the last call, the oldest first.
    fn news(&mut self, newest_first: &[Value]) -> Vec<String> {
        let mut lines = Vec::new();
        for payment in newest_first.iter().rev() {
            let now = Shown::of(payment);
            let before = self.shown.insert(text(&payment["id"]), now.clone());
            if let Some((what, amount)) = now.news_since(before.as_ref()) {
                lines.push(self.line(payment, &what, &amount));
            }
        }
        lines
    }

    /// `12:03:41  recorded           8.50 EURe  0x7a3f…c21b  5f0c…`, and the reason if it was declined.
    fn line(&self, payment: &Value, what: &str, amount: &str) -> String {
        let updated_at = text(&payment["updated_at"]);
        let time = updated_at.get(11..19).unwrap_or(&updated_at);
        let (account, id) = (short(&text(&payment["account"])), text(&payment["id"]));
        let reason = text(&payment["decline_reason"]);
        let reason = if what == "declined" { format!("  {reason}") } else { String::new() };
        let (on, off) = match (self.coloured, what) {
            (false, _) => ("", ""),
            (true, "cleared") => ("\x1b[32m", "\x1b[0m"),
            (true, "declined") => ("\x1b[31m", "\x1b[0m"),
            (true, _) => ("\x1b[36m", "\x1b[0m"),
        };
        format!("{time}  {on}{what:<17}{off} {amount:>16}  {account}  {id}{reason}")
    }
}

/// What was last shown of a payment.
#[derive(Clone, PartialEq, Eq)]
struct Shown {
    status: String,
    amount: String,
    reversed: String,
    refunded: String,
}

impl Shown {
    fn of(payment: &Value) -> Self {
        let display = |field: &str| text(&payment[field]["display"]);
        let status = text(&payment["status"]);
        let is_cleared = ["cleared", "partially_cleared"].contains(&status.as_str());
        let amount = display(if is_cleared { "cleared" } else { "amount" });
        Self { status, amount, reversed: display("reversed"), refunded: display("refunded") }
    }

    /// What has happened, and to which amount; none if nothing has.
    fn news_since(&self, before: Option<&Self>) -> Option<(String, String)> {
        let Some(before) = before else { return Some((self.status.clone(), self.amount.clone())) };
        if self.status != before.status {
            return Some((self.status.clone(), self.amount.clone()));
        }
        if self.refunded != before.refunded {
            return Some(("refunded".to_owned(), self.refunded.clone()));
        }
        let is_reversed = self.reversed != before.reversed;
        is_reversed.then(|| ("reversed in part".to_owned(), self.reversed.clone()))
    }
}

/// The two ends of an address are what people compare.
fn short(address: &str) -> String {
    match (address.get(..6), address.get(address.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) if address.len() > 12 => format!("{start}…{end}"),
        _ => address.to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(id: &str, status: &str) -> Value {
        serde_json::json!({
            "id": id, "status": status, "account": "0x7a3f000000000000000000000000000000000c21",
            "amount": { "display": "8.50 EURe" }, "cleared": { "display": "5.00 EURe" }, "updated_at": "2026-11-22T12:03:41Z",
        })
    }

    #[test]
    fn a_payment_is_shown_once_and_again_when_it_clears() {
        let mut watch = Watch::new("http://127.0.0.1:1");
        let first = watch.news(&[payment("b", "recorded"), payment("a", "recorded")]);
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], "12:03:41  recorded                 8.50 EURe  0x7a3f…0c21  a");
        let second = watch.news(&[payment("b", "recorded"), payment("a", "cleared")]);
        assert_eq!(second.len(), 1);
        assert!(second[0].contains("cleared") && second[0].ends_with('a'));
        assert!(second[0].contains("5.00 EURe"), "what was claimed, not what was authorized: {second:?}");
        assert!(watch.news(&[payment("b", "recorded"), payment("a", "cleared")]).is_empty());
        let mut refunded = payment("a", "cleared");
        refunded["refunded"] = serde_json::json!({"display": "3.00 EURe"});
        let third = watch.news(&[payment("b", "recorded"), refunded]);
        assert!(third[0].contains("refunded") && third[0].contains("3.00 EURe"), "{third:?}");
        let mut declined = payment("c", "declined");
        declined["decline_reason"] = serde_json::json!("insufficient_funds");
        assert!(watch.news(&[declined])[0].ends_with("c  insufficient_funds"));
    }
}
