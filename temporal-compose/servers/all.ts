import type { Server } from '../server.js';
import type { ServerName } from '../server-name.js';
import { kafka } from './kafka.js';
import { mongo } from './mongo.js';
import { mysql } from './mysql.js';
import { redis } from './redis.js';
import { temporal } from './temporal.js';

export const servers: Readonly<Record<ServerName, Server>> = { mysql, mongo, redis, kafka, temporal };
