//! A database for one test: copied from the migrated template, dropped with its value.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::services::Services;

/// Dropping it drops the database, also if clients are connected.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    maintenance_url: String,
}

impl Database {
    pub(crate) async fn create(name: String) -> Self {
        let services = Services::get();
        let mut connection = connect(&services.maintenance_url).await;
        let create = format!(
            "CREATE DATABASE {name} TEMPLATE {}",
            services.template_database
        );
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .expect("the template can be copied");
        let _ = connection.close().await;
        Self {
            name,
            maintenance_url: services.maintenance_url.clone(),
        }
    }

    /// The URL under which the database is reached.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self
            .maintenance_url
            .rsplit_once('/')
            .expect("a database's URL has a path");
        format!("{server}/{}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, name) = (self.maintenance_url.clone(), self.name.clone());
        // A thread with a runtime of its own: the test's may be the one that is ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let drop = async {
                    let mut connection = connect(&url).await;
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let _ = sqlx::raw_sql(AssertSqlSafe(drop))
                        .execute(&mut connection)
                        .await;
                };
                // The whole cluster goes soon: it is no failure of the test.
                let _ = tokio::time::timeout(Duration::from_secs(5), drop).await;
            });
        });
        let _ = dropping.join();
    }
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("the maintenance URL is one");
    options
        .connect()
        .await
        .expect("the test's PostgreSQL answers")
}
