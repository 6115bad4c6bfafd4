//! What a customer reads: one payment, all payments, and what the account has and spent.
//!
//! A Spin HTTP component. It asks the host's API, whose address is the variable `host_url`, and shows the part that is
//! the customer's business. It never holds a database connection, it never shows where a payment comes from or its
//! timeline, and with `customer_secret` set nobody reads another account's payments. This file does the talking; what
//! to ask for and what to answer is decided in `route` and `view`, which do no I/O.

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

/// Both sides are answers for the customer.
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
        // `reader` lets nobody else here.
        (Wanted::Payments(_) | Wanted::Account, None) => Err(Reply::unauthenticated("Nobody is signed in.")),
    }
}

/// Whose payments may be read. Without a secret there are no tokens: then, as in development, whoever knows a payment's
/// id may read that one, and nothing that is asked for by account is served.
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
