//! A line per payment, and another when it clears: what the API says, as a person would read it.

use std::collections::HashMap;
use std::io::IsTerminal;

use serde_json::Value;

use crate::http;

/// More than ever changes between two looks.
const LOOK_AT: usize = 100;

/// Payments shown so far.
pub struct Watch {
    url: String,
    shown: HashMap<String, String>,
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
            let status = text(&payment["status"]);
            let before = self.shown.insert(text(&payment["id"]), status.clone());
            if before.as_ref() != Some(&status) {
                lines.push(self.line(payment, &status));
            }
        }
        lines
    }

    /// `12:03:41  recorded    8.50 EURe  0x7a3f…c21b  5f0c…`
    fn line(&self, payment: &Value, status: &str) -> String {
        let updated_at = text(&payment["updated_at"]);
        let time = updated_at.get(11..19).unwrap_or(&updated_at);
        let (amount, account) = (text(&payment["amount"]["display"]), short(&text(&payment["account"])));
        let id = text(&payment["id"]);
        let (on, off) = match (self.coloured, status) {
            (false, _) => ("", ""),
            (true, "cleared") => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[36m", "\x1b[0m"),
        };
        format!("{time}  {on}{status:<9}{off} {amount:>14}  {account}  {id}")
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
            "amount": { "display": "8.50 EURe" }, "updated_at": "2026-11-22T12:03:41Z",
        })
    }

    #[test]
    fn a_payment_is_shown_once_and_again_when_it_clears() {
        let mut watch = Watch::new("http://127.0.0.1:1");
        let first = watch.news(&[payment("b", "recorded"), payment("a", "recorded")]);
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], "12:03:41  recorded       8.50 EURe  0x7a3f…0c21  a");
        let second = watch.news(&[payment("b", "recorded"), payment("a", "cleared")]);
        assert_eq!(second.len(), 1);
        assert!(second[0].contains("cleared") && second[0].ends_with('a'));
        assert!(watch.news(&[payment("b", "recorded"), payment("a", "cleared")]).is_empty());
    }
}
