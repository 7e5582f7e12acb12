// What the peers on PostgreSQL share: a connection, and a client that commits one job at a time.

import pg from 'pg';

import { required } from './measure.js';

export const url = required('PEERS_DATABASE_URL');

/** A connection of its own, outside any pool. */
export async function connect() {
  const connection = new pg.Client({ connectionString: url });
  await connection.connect();
  return connection;
}

/** A client whose every job is one transaction; `add` puts the job into it. */
export async function transactional(add) {
  const connection = await connect();
  return {
    async accept() {
      await connection.query('BEGIN');
      await add(connection);
      await connection.query('COMMIT');
    },
    close: () => connection.end(),
  };
}
