//! Customer API: one payment, all payments, and the account's balances and totals.
//!
//! A Spin HTTP component. It queries the host's API, whose URL is the variable `host_url`, and returns the part that
//! is meant for the customer. It never holds a database connection, never shows the source or the timeline of a
//! payment, and with `customer_secret` set nobody can read another account's payments. This file does the I/O;
//! `route` and `view`, which do none, decide what to request and what to answer.

mod route;
mod view;

use clearfold_edge_kit::host::{self, Host};
use clearfold_edge_kit::{Reply, Secrets, account_of};
use route::Wanted;
use spin_sdk::http::{Request, Response};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> Response<String> {
    host::response(answer(request).await.unwrap_or_else(|problem| problem))
}

/// Both variants are replies to the customer.
async fn answer(request: Request) -> Result<Reply, Reply> {
    let wanted = route::wanted(request.method(), request.uri().path(), request.uri().query())?;
    let account = reader(&request, &wanted).await?;
    let host = Host::found().await?;
    let account = account.as_deref();
    match (wanted, account) {
        (Wanted::Payment(id), account) => {
            let said = host.get(&format!("/v1/payments/{id}")).await?;
            Ok(view::payment(&id, account, &said))
        }
        (Wanted::Payments(query), Some(account)) => {
            let said = host.get(&format!("/v1/payments?account={account}{query}")).await?;
            Ok(view::payments(account, &said))
        }
        (Wanted::Account, Some(account)) => {
            let said = host.get(&format!("/v1/accounts/{account}")).await?;
            let balances = host.get(&format!("/v1/accounts/{account}/balances")).await?;
            Ok(view::account(account, &said, &balances))
        }
        // `reader` has already refused these requests without an account.
        (Wanted::Payments(_) | Wanted::Account, None) => Err(Reply::unauthenticated("Nobody is signed in.")),
    }
}

/// Returns the account whose payments may be read. Without a secret there are no tokens: then, as in development, any
/// client that knows a payment's id may read that payment, and requests by account are not served.
async fn reader(request: &Request, wanted: &Wanted) -> Result<Option<String>, Reply> {
    const SECRET: &str = "customer_secret";
    let value = host::variable(SECRET).await?;
    if value.is_empty() && matches!(wanted, Wanted::Payment(_)) {
        return Ok(None);
    }
    let secrets = Secrets::parse(SECRET, &value).map_err(|error| Reply::problem(503, error.to_string()))?;
    let token = host::text(request.headers(), "authorization");
    let account = account_of(token, &secrets, host::now_s());
    let account = account
        .map_err(|error| Reply::unauthenticated(error.to_string()).with("www-authenticate", "Bearer"))?;
    Ok(Some(account.to_owned()))
}
