/**
 * The one error class and the registry of its codes. A code names a cause; its entry tells the operator what to do.
 * docs/errors.md is generated from this registry, so an entry here is the whole manual of its code.
 */
export interface ErrorEntry {
  /** Whether the same call can succeed later without anyone doing anything. */
  readonly retryable: boolean;
  /** What it means and what to do, for the person on call. */
  readonly help: string;
}

export const errorCodes = {
  'LS-CONFIG-INVALID': {
    retryable: false,
    help: 'The configuration has mistakes; each is listed with its path and what is allowed. Correct the file.',
  },
  'LS-CONFIG-UNREADABLE': {
    retryable: false,
    help: 'The configuration file, or a secret it names, cannot be read. Check the path and its permissions.',
  },
  'LS-USAGE': { retryable: false, help: 'The command was called wrongly. `--help` shows an example.' },
  'LS-INTERNAL': {
    retryable: false,
    help: 'A rule of lockstep itself was broken. Nothing was acknowledged. Report it with the message and stack.',
  },
  'LS-STACK-START': {
    retryable: false,
    help: 'A local server did not start. The message holds the last lines of its log.',
  },
  'LS-STACK-FETCH': {
    retryable: true,
    help: 'A server could not be downloaded or built. Check the network, then call again: what is complete is kept.',
  },
  'LS-STACK-TOOL': {
    retryable: false,
    help: 'A program that the local servers need is missing. Install what the message names, or start a Docker engine.',
  },
  'LS-STACK-VERSION': {
    retryable: false,
    help: 'A running local server has a version that lockstep does not support. The message names both.',
  },
  'LS-STACK-STATE': {
    retryable: false,
    help: 'The state folder of the local servers cannot be used. `down --wipe` removes it with its data; or name another.',
  },
  'LS-STACK-STOPPED': {
    retryable: true,
    help: 'Starting the local servers was interrupted. What this call started was stopped; call again to go on.',
  },
  'LS-MYSQL-UNREACHABLE': {
    retryable: true,
    help: 'MySQL does not answer, or the connection was lost. Check host, port, firewall and that the server runs; work goes on by itself once it answers.',
  },
  'LS-MYSQL-BUSY': {
    retryable: true,
    help: 'MySQL has no connection left for this user. Raise max_connections or the user’s MAX_USER_CONNECTIONS.',
  },
  'LS-MYSQL-ACCESS': {
    retryable: false,
    help: 'MySQL refused user or password, or this host. Correct mysql.uri, or create the user as docs/mysql.md shows.',
  },
  'LS-MYSQL-TLS': {
    retryable: false,
    help: 'The TLS handshake with MySQL failed. Set mysql.ssl (ca, cert, key, rejectUnauthorized), or ask the server for TLS.',
  },
  'LS-MYSQL-DATABASE': {
    retryable: false,
    help: 'The database does not exist, or the user may not see it. Correct the database in mysql.uri.',
  },
  'LS-MYSQL-PRIVILEGE': {
    retryable: false,
    help: 'The MySQL user lacks a privilege; the message names it. docs/mysql.md lists every GRANT.',
  },
  'LS-MYSQL-TRUST': {
    retryable: false,
    help: 'With the binary log on, MySQL allows CREATE TRIGGER only after SET PERSIST log_bin_trust_function_creators = 1 (error 1419).',
  },
  'LS-MYSQL-VERSION': {
    retryable: false,
    help: 'lockstep needs MySQL 8.4 or newer, below 10, and not MariaDB. Upgrade the server.',
  },
  'LS-MYSQL-READ-ONLY': {
    retryable: true,
    help: 'The MySQL server is read only: a replica, or a primary set aside. Point mysql.uri at the writable server.',
  },
  'LS-MYSQL-LOCK-WAIT': {
    retryable: true,
    help: 'Another transaction holds a lock for longer than lockstep is willing to wait. It is tried again; if it stays, look for long transactions and for ALTER TABLE in the process list.',
  },
  'LS-MYSQL-DEADLOCK': {
    retryable: true,
    help: 'MySQL chose a transaction of lockstep as a deadlock victim. It is tried again; nothing is lost.',
  },
  'LS-MYSQL-FULL': {
    retryable: true,
    help: 'MySQL has no room left (disk or tablespace). Free some; work goes on by itself.',
  },
  'LS-MYSQL-STATEMENT': {
    retryable: false,
    help: 'MySQL refused a statement of lockstep for a reason it does not know. The message holds MySQL’s own.',
  },
  'LS-KAFKA-UNREACHABLE': {
    retryable: true,
    help: 'No Kafka broker answers, or a partition has no leader. Check `kafka.brokers`, the network and the brokers; lockstep goes on by itself once they answer.',
  },
  'LS-KAFKA-REFUSED': {
    retryable: false,
    help: 'Kafka refused the user or the access. Check `kafka.sasl` and `kafka.ssl`, and grant the user READ, WRITE, CREATE, DESCRIBE and DESCRIBE_CONFIGS on topics with the prefix `<topicPrefix>.`, and WRITE and DESCRIBE on the transactional id `lockstep/<pipeline>/capture`. Consumer groups are not used.',
  },
  'LS-KAFKA-TLS': {
    retryable: false,
    help: 'The TLS connection to Kafka failed. Check `kafka.ssl` (ca, cert, key, servername) and that the listener speaks TLS.',
  },
  'LS-KAFKA-REQUEST': {
    retryable: true,
    help: 'Kafka answered with an error; the message holds it. lockstep tries again; if it stays, look at the broker log.',
  },
  'LS-KAFKA-TOPIC-SETTINGS': {
    retryable: false,
    help: 'A topic of the pipeline exists with other settings than lockstep needs: partition count, cleanup.policy or compression. The message names topic, setting and value: change the topic, or `kafka.partitions`, or choose another `kafka.topicPrefix`.',
  },
  'LS-KAFKA-PREFIX-TAKEN': {
    retryable: false,
    help: 'The topics under `kafka.topicPrefix` belong to another pipeline or another source. Give this pipeline a `kafka.topicPrefix` of its own.',
  },
  'LS-KAFKA-DOUBTFUL': {
    retryable: true,
    help: 'Kafka did not say whether a transaction was committed. Capture claims its place again and reads what became of it; nothing is lost or doubled.',
  },
  'LS-ROW-JSON': {
    retryable: false,
    help: 'A row image or key does not fit its table definition, or holds a value that a store cannot hold. Its key is parked with the reason; the next change of the row tries again.',
  },
  'LS-TYPE-UNKNOWN': {
    retryable: false,
    help: 'A column has a type that lockstep does not know. Exclude the table, or use a version of lockstep that knows it.',
  },
  'LS-MONGO-UNREACHABLE': {
    retryable: true,
    help: 'MongoDB does not answer, or has no primary. Apply waits and goes on by itself; check mongo.uri and the replica set if it lasts.',
  },
  'LS-MONGO-ACCESS': {
    retryable: false,
    help: 'MongoDB refused the user, the password or a right. The user needs readWrite on mongo.database and mongo.stateDatabase, and the right bypassDocumentValidation where collections have validators.',
  },
  'LS-MONGO-TLS': {
    retryable: false,
    help: 'The TLS connection to MongoDB failed. Check mongo.tls (ca, cert, key, servername) and that the server speaks TLS.',
  },
  'LS-MONGO-VERSION': {
    retryable: false,
    help: 'lockstep needs MongoDB 6.0 or newer. Upgrade the server.',
  },
  'LS-MONGO-STANDALONE': {
    retryable: false,
    help: 'lockstep writes in transactions, which a standalone MongoDB does not have. Start mongod with --replSet and run rs.initiate() once; a set of one member is enough.',
  },
  'LS-MONGO-WRITE': {
    retryable: true,
    help: 'MongoDB refused a write for a reason that is not the data of one row; the message names it. The batch is tried again until it succeeds.',
  },
  'LS-REDIS-UNREACHABLE': {
    retryable: true,
    help: 'Redis does not answer. Apply waits and goes on by itself; check redis.uri and the server if it lasts.',
  },
  'LS-REDIS-ACCESS': {
    retryable: false,
    help: 'Redis refused the user, the password or a command. The user needs ~<keyPrefix>:* and the commands EVAL, EVALSHA, GET, SET, MSET, DEL, EXISTS, HSET, HDEL, HGET, HGETALL, HKEYS, PEXPIREAT, SCAN and INFO.',
  },
  'LS-REDIS-TLS': {
    retryable: false,
    help: 'The TLS connection to Redis failed. Check redis.tls (ca, cert, key, servername) and that the port speaks TLS; `rediss://` asks for it.',
  },
  'LS-REDIS-FULL': {
    retryable: true,
    help: 'Redis is at maxmemory and evicts nothing. Deletes still go on; raise maxmemory or shrink the data set, and apply continues by itself.',
  },
  'LS-REDIS-WRITE': {
    retryable: true,
    help: 'Redis refused a write (read-only replica, disk full, still loading); the message names the reason. The batch is tried again until it succeeds.',
  },
  'LS-REDIS-VERSION': {
    retryable: false,
    help: 'lockstep needs Redis 7.0 or newer, whose scripts are refused as a whole when memory is short. Upgrade the server.',
  },
  'LS-REDIS-CLUSTER': {
    retryable: false,
    help: 'Redis Cluster cannot run one atomic script over all slots, so it is not supported. Point redis.uri at a server that is not in cluster mode.',
  },
  'LS-REDIS-EVICTION': {
    retryable: false,
    help: 'Redis evicts any key under memory pressure (maxmemory-policy allkeys-…): rows and positions would vanish silently. Set maxmemory-policy to noeviction or a volatile-… policy.',
  },
  'LS-APPLY-DEFINITION': {
    retryable: true,
    help: 'An event cites a table definition that the definitions topic does not hold, because the topic was deleted or cut. Apply waits, and capture publishes the definition again within seconds; it must run for that. If MySQL does not know the definition either, the state database was replaced: resync the tables, or begin again with another `kafka.topicPrefix`.',
  },
  'LS-STORE-CLAIMED': {
    retryable: false,
    help: 'Another pipeline already writes here; the message names it. Use another mongo.database or redis.keyPrefix, or uninstall the other pipeline.',
  },
  'LS-STATE-UNREADABLE': {
    retryable: false,
    help: 'The last record of the topic `<topicPrefix>.lockstep.state` was not written by this version of lockstep. Use the version that wrote it, or another `kafka.topicPrefix`.',
  },
  'LS-MYSQL-MULTI-PRIMARY': {
    retryable: false,
    help: 'Multi-primary group replication has no single commit order, so changes cannot be kept in order. Switch the group to single-primary mode and point mysql.uri at its primary.',
  },
  'LS-MYSQL-BINLOG-FORMAT': {
    retryable: false,
    help: 'Triggers draw random identities, which statement-based replication cannot repeat. SET PERSIST binlog_format = ROW.',
  },
  'LS-MYSQL-ROW-IMAGE': {
    retryable: false,
    help: 'With a binlog_row_image other than FULL, or without a binary log, MySQL computes a virtual column only in statements that name it, and lockstep’s triggers read it in every UPDATE and DELETE. Where its value does not fit its type, which only sessions outside strict mode can bring about, such a statement fails (1264, 1265, 1292, 1366). SET PERSIST binlog_row_image = FULL, which the witness needs, too; or make the column STORED.',
  },
  'LS-SOURCE-CHANGED': {
    retryable: false,
    help: 'The state database was filled on another server: this one is a clone, a restored copy or a promoted replica. If it is the source from now on, start with --adopt-source: every table is copied again. If it is a clone, drop its lockstep database and triggers (lockstep uninstall).',
  },
  'LS-STATE-OTHER-PIPELINE': {
    retryable: false,
    help: 'The state database belongs to another pipeline. Give this one a database of its own: set mysql.stateDatabase; or uninstall the other.',
  },
  'LS-STATE-FOREIGN': {
    retryable: false,
    help: 'The state database holds tables that are not lockstep’s. Set mysql.stateDatabase to a name that is free.',
  },
  'LS-TABLE-CAPTURED-TWICE': {
    retryable: false,
    help: 'Another lockstep state database captures the same tables. Exclude them here (tables.exclude), or uninstall the other pipeline; triggers left behind by a dropped one are removed with DROP TRIGGER.',
  },
  'LS-TABLE-LEFT-OUT': {
    retryable: false,
    help: 'The table is not captured, for the reason given. Change the table as the message says, or name it in tables.exclude to have it in peace.',
  },
  'LS-TABLES-NONE': {
    retryable: false,
    help: 'No table of the database can be captured; the message names each with its reason. Correct tables.include, or add primary keys.',
  },
  'LS-TRIGGERS-UNSETTLED': {
    retryable: true,
    help: 'Triggers could not be brought to the expected state because tables kept changing or stayed locked by long transactions. It is tried again; see the process list for who holds the table.',
  },
  'LS-TABLE-UNKNOWN': {
    retryable: false,
    help: 'The table is not captured by this pipeline. Check the name and tables.include.',
  },
  'LS-NOT-INSTALLED': {
    retryable: false,
    help: 'The state database is not there: nothing was installed, or it was dropped. Start the pipeline.',
  },
  'LS-SWEEP-PLACE-LOST': {
    retryable: true,
    help: 'A store was restarted while its keys were read, so that the place to go on from means nothing any more. The pass over its keys begins again by itself.',
  },
  'LS-SWEEP-RUNNING': {
    retryable: true,
    help: 'Another sweep of the same tables is under way with other options. Wait for it; its workflow shows how far it is.',
  },
  'LS-SWEEP-STOPPED': {
    retryable: true,
    help: 'The sweep ended before it was through: a store or the pipeline was away for too long, or it was cancelled. Nothing it found is lost: the next call goes on behind the last finished chunk.',
  },
  'LS-DRIFT-FOUND': {
    retryable: false,
    help: 'A store differs from MySQL. `validate` lists the keys with their causes, `explain TABLE KEY` shows one of them in full, `validate --repair` mends them through the change log.',
  },
  'LS-DRIFT-TOO-MUCH': {
    retryable: false,
    help: 'More of a table drifts than validate.repair.maxShare lets a sweep repair unasked: something is wrong with more than some keys. Find the cause first; `resync TABLE` then brings the whole table back.',
  },
  'LS-TEMPORAL-ACTIVITY': {
    retryable: true,
    help: 'A step of the pipeline ended in a way that lockstep does not know. It is tried again; the workflow’s history in the Temporal UI and the worker’s log show the cause.',
  },
  'LS-TEMPORAL-FENCED': {
    retryable: true,
    help: 'Another process took the place of this stream, for instance a worker that was believed dead, or a second pipeline on the same topics. It comes back by itself; if it stays, look for a second pipeline with the same `kafka.topicPrefix`.',
  },
  'LS-TEMPORAL-UNREACHABLE': {
    retryable: true,
    help: 'Temporal does not answer. Check `temporal.address`, `temporal.tls` and the network; `lockstep up` starts a local one.',
  },
  'LS-TEMPORAL-TLS': {
    retryable: false,
    help: 'The TLS connection to Temporal failed. Check `temporal.tls` (serverRootCACertificate, serverNameOverride, clientCertPair) and that the frontend speaks TLS.',
  },
  'LS-TEMPORAL-REFUSED': {
    retryable: false,
    help: 'Temporal refused the request: the namespace does not exist, or the key or certificate is not allowed. Check `temporal.namespace`, `temporal.apiKey` and `temporal.tls`.',
  },
  'LS-TEMPORAL-ATTRIBUTES': {
    retryable: false,
    help: 'The search attributes LockstepPipeline, LockstepStage and LockstepTable are not registered and lockstep may not register them. Run once: temporal operator search-attribute create --name LockstepPipeline --type Keyword --name LockstepStage --type Keyword --name LockstepTable --type Keyword (with --address and --namespace of the configuration).',
  },
  'LS-PIPELINE-OTHER': {
    retryable: false,
    help: 'A pipeline of this name runs with another source, other stores or other names. Give this one another `pipeline`, or stop the running one first. The message names every setting that differs.',
  },
  'LS-PIPELINE-NOT-RUNNING': {
    retryable: false,
    help: 'No pipeline of this name runs. `lockstep start` starts it.',
  },
  'LS-PIPELINE-RUNNING': {
    retryable: false,
    help: 'The pipeline must not run for this. `lockstep stop` ends it.',
  },
  'LS-PIPELINE-PAUSED': {
    retryable: false,
    help: 'The pipeline is paused: the stores are left alone. `lockstep resume` lets it go on.',
  },
  'LS-WAIT-TIMEOUT': {
    retryable: true,
    help: 'Not everything reached the stores in time; the message names who is behind. `lockstep status` shows lag and problems; a longer --timeout waits longer.',
  },
  'LS-WAIT-STOPPED': {
    retryable: false,
    help: 'An application aborted its wait for a token. Nothing is wrong.',
  },
  'LS-WAIT-INCOMPLETE': {
    retryable: false,
    help: 'Everything else is in the stores, but the tables named are paused or hold parked keys. `lockstep resume TABLE` lets a paused table go on; `lockstep status` tells why keys are parked.',
  },
  'LS-PIPELINE-NO-WORKER': {
    retryable: true,
    help: 'The pipeline did not answer in time: no worker runs for it. Start one with `lockstep worker`; to end it without one, `lockstep stop --now`.',
  },
  'LS-WORKER-OTHER': {
    retryable: true,
    help: 'This worker’s configuration is not the one that the pipeline was started with. Start the worker with the pipeline’s configuration, or stop and start the pipeline with the new one. The message names every setting that differs.',
  },
  'LS-WORKER-BUILD': {
    retryable: false,
    help: 'The bundle of the workflows is missing. Run: npm run build.',
  },
  'LS-METRICS-ADDRESS': {
    retryable: false,
    help: 'Metrics cannot be served at the address given with `--metrics` or LOCKSTEP_METRICS: another process listens there, most often a second worker with the same one, or the address is not this machine’s. Give each worker a port of its own.',
  },
  'LS-LOSS-COPYING': {
    retryable: true,
    help: 'A store, the log or the source lost something; the tables concerned are being copied again, the rest goes on. Nothing needs to be done; find out why it was lost.',
  },
  'LS-KAFKA-TOPIC-CREATE': {
    retryable: false,
    help: 'Kafka would not create a topic. The message says why: most often `kafka.replicationFactor` exceeds the number of brokers, or the user may not create topics.',
  },
  'LS-KEYS-PARKED': {
    retryable: false,
    help: 'Values of these keys cannot be stored (too large, or not readable); the stores keep their last good content and everything else goes on. `status --json` names the reasons; change or remove the rows, and they come back by themselves.',
  },
  'LS-SCHEMA-HELD': {
    retryable: false,
    help: 'A table changed, and its policy (`schema.policy: pause`) has the stores leave it alone until somebody has looked: `lockstep schema` shows the change, `lockstep resume TABLE` lets the stores follow it. Capture goes on meanwhile, nothing is lost.',
  },
  'LS-SCHEMA-STORE': {
    retryable: true,
    help: 'A validator or an index in MongoDB could not be brought to what the table asks for; data are not affected. It is tried again every few seconds. Give the user the role dbAdmin on mongo.database, or set `schema.validators: off`.',
  },
  'LS-SCHEMA-APPLY': {
    retryable: false,
    help: '`schema apply` stopped; the message says at which statement and why. What ran before stays, triggers and stores follow it. Correct the file behind that statement, or what stands in its way, and call it again: it goes on where it stopped.',
  },
  'LS-CHANGE-LOG-GROWS': {
    retryable: true,
    help: 'Changes wait in MySQL because capture does not run or cannot reach Kafka. Start a worker, or bring Kafka back; at `changeLog.maxBytes` the triggers are dropped.',
  },
  'LS-CHANGE-LOG-FULL': {
    retryable: true,
    help: 'The change log reached `changeLog.maxBytes`, because capture did not run or could not reach Kafka. Its triggers were dropped rather than fill the disk of MySQL, so changes are not captured at present. Start a worker, or bring Kafka back: once the log is below half, triggers come back and every table is copied.',
  },
  'LS-WITNESS-STANDS-DOWN': {
    retryable: true,
    help: 'The witness does not read the binary log, for the reason given: what escapes the triggers (cascades of foreign keys, TRUNCATE, partitions) is then found by sweeps alone. Set right what the message names and it begins by itself within a minute; or set `witness: off`.',
  },
  'LS-WITNESS-BINLOG-LOST': {
    retryable: true,
    help: 'The binary log no longer holds what the witness had not read (purged, or reset). Nobody can tell what escaped the triggers meanwhile, so every table is being copied again. Keep binary logs (binlog_expire_logs_seconds) for longer than workers may be down.',
  },
  'LS-CHANGES-ESCAPED': {
    retryable: true,
    help: 'Changes of this table did not come through its triggers, for the cause given; the binary log shows them. They are being logged again, key by key or by a copy of the table, without anyone doing anything. If the cause comes back, remove it: docs/mysql.md tells how for each.',
  },
  'LS-MYSQL-AUTOINC': {
    retryable: false,
    help: 'With innodb_autoinc_lock_mode 0 or 1 a copy would lock the change log for every writer of every captured table. Set it to 2, MySQL’s default, and restart the server.',
  },
  'LS-INGEST-FILE-MISSING': {
    retryable: false,
    help: 'A file to load is not there, may not be read, or a pattern matches none. Check the path. Workers read the file themselves: it must lie at the same path on a machine where one runs.',
  },
  'LS-INGEST-FILE-CHANGED': {
    retryable: false,
    help: 'A file was changed after its ingest began. Nothing more is loaded from it. Put the old content back and call again to go on; or load the new content as an ingest of its own.',
  },
  'LS-INGEST-FILE-BROKEN': {
    retryable: false,
    help: 'An archive or a Parquet file is damaged or cut short; the message tells where. Nothing was loaded if it was found before the ingest began. Fetch the file again.',
  },
  'LS-INGEST-FILE-FORM': {
    retryable: false,
    help: 'A file is not what it was taken for: another format, encoding or compression. The message names the option that says what it is.',
  },
  'LS-INGEST-QUOTE': {
    retryable: false,
    help: 'A quote that opens on the line named is never closed, so nobody can tell where its record ends. Close it, or give the file’s quote with --quote (--quote none: fields are not quoted).',
  },
  'LS-INGEST-RECORD': {
    retryable: false,
    help: 'A record is longer than any row can be. Check the line named, --quote and --delimiter.',
  },
  'LS-INGEST-COLUMNS': {
    retryable: false,
    help: 'The fields of the file do not fit the columns of the table; the message lists every one. Rename them with --columns, leave them out with --ignore, or change the table.',
  },
  'LS-INGEST-TABLE': {
    retryable: false,
    help: 'The table to load into cannot be loaded into; the message says why. --create proposes a table for a file that has none.',
  },
  'LS-INGEST-ORDER': {
    retryable: false,
    help: 'Tables whose foreign keys name each other cannot be loaded one after the other. Drop one of the foreign keys for the time of the load, or load nullable references first and set them afterwards.',
  },
  'LS-INGEST-REJECT-FILE': {
    retryable: true,
    help: 'The file of rejected rows could not be written; most often its folder is missing or full. The ingest itself is not touched, and the rows stand in MySQL: free some room or name another file with --rejects, and give the same command again.',
  },
  'LS-INGEST-SPOOL': {
    retryable: true,
    help: 'Standard input could not be kept in a file; most often the disk is full. Free some room, or name another folder with --spool, and call again with the same input.',
  },
  'LS-INGEST-UNKNOWN': {
    retryable: false,
    help: 'No ingest has this name, or none of this table is under way. `lockstep ingests` lists them.',
  },
  'LS-INGEST-DONE': {
    retryable: false,
    help: 'The same content is in this table already. --again loads it once more: rows whose key is taken are then rejected (insert) or written again (upsert, replace).',
  },
  'LS-INGEST-DIFFERENT': {
    retryable: false,
    help: 'An ingest of the same content into this table was begun with other options and has not come to its end. Go on with its options, or cancel it with `lockstep ingests cancel`.',
  },
  'LS-INGEST-KEYS': {
    retryable: false,
    help: 'Rows do not lie under the keys that the file gives, or the file does not give the key: a BEFORE trigger changes it, or a default draws it. Give the whole key in the file, or leave it to AUTO_INCREMENT; upsert and replace need it in the file. Nothing of the chunk was written.',
  },
  'LS-INGEST-STORE-LOST': {
    retryable: true,
    help: 'A store lost its data while rows were loaded into it. The load goes on, and every row is compared and written again at its end.',
  },
  'LS-INGEST-UNEQUAL': {
    retryable: true,
    help: 'Rows that MySQL holds do not arrive in a store, or arrive otherwise. It is tried again; `lockstep explain TABLE KEY` and `lockstep status` tell why: a paused table, parked keys, another writer of the same documents.',
  },
  'LS-INGEST-BUSY': {
    retryable: false,
    help: 'Another ingest loads this table directly, before its triggers are on. Let it end, or cancel it with `lockstep ingests cancel`; then give the command again.',
  },
  'LS-INGEST-FILE-UNSEEN': {
    retryable: false,
    help: 'No worker that serves the queue `ingest` sees the file under the path that the command saw. Start a worker on the machine that holds the file, or put the file where the workers are; then give the same command again: it goes on where it stands.',
  },
  'LS-INGEST-UNFINISHED': {
    retryable: true,
    help: 'A direct load of this table began and nothing carries it on, so the table is not captured. Give the same ingest command again, or `lockstep ingests cancel` it.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCodes;

/** Facts beside the message. Never row values, never secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export class LockstepError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LockstepError';
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return errorCodes[this.code].retryable;
  }
}

/** The code of any thrown value, or undefined for one that is not ours. */
export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof LockstepError ? error.code : undefined;
}

/** A short text for any thrown value: code first when it is ours. */
export function describeError(error: unknown): string {
  if (error instanceof LockstepError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
