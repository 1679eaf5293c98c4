import { describe, expect, test } from 'vitest';
import {
  compareVersions,
  describeRange,
  isSupported,
  parseVersion,
  type Version,
  type VersionRange,
} from '../../temporal-compose/version.js';

describe('parseVersion reads what the programs really print', () => {
  test.each<[string, string, Version | undefined]>([
    ['mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))', 'Ver ', [9, 7, 4]],
    ['/usr/sbin/mysqld  Ver 8.4.6 for macos15.4 on arm64 (Homebrew)', 'Ver ', [8, 4, 6]],
    ['db version v6.0.5\nBuild Info: {', 'db version', [6, 0, 5]],
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', 'v=', [7, 0, 15]],
    ['# Server\r\nredis_version:8.0.2\r\n', 'redis_version:', [8, 0, 2]],
    ['temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)', 'Server ', [1, 29, 1]],
    ['openjdk version "17.0.15" 2025-04-15', 'version "', [17, 0, 15]],
    ['go version go1.26.8 linux/amd64', 'go version go', [1, 26, 8]],
    ['kafka_2.13-4.4.0.jar', '-', [4, 4, 0]],
    ['a program that prints no version', '', undefined],
    ['9.7.4 without the marker', 'Ver ', undefined],
  ])('%j after %j', (text, marker, expected) => {
    expect(parseVersion(text, marker)).toEqual(expected);
  });
});

test.each<[Version, Version, number]>([
  [[9, 7], [9, 7, 0], 0],
  [[8, 4, 10], [8, 4, 9], 1],
  [[10], [9, 99], 1],
  [[1, 29], [1, 29, 1], -1],
])('compareVersions(%j, %j)', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
  expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign);
});

describe('isSupported', () => {
  const mysql: VersionRange = { from: [8, 4], below: [10] };
  test.each<[Version, boolean]>([
    [[8, 0, 43], false],
    [[8, 4], true],
    [[9, 7, 4], true],
    [[10, 0], false],
    [[], false],
  ])('%j', (version, expected) => {
    expect(isSupported(version, mysql)).toBe(expected);
  });

  test('is told to a person', () => {
    expect(describeRange(mysql)).toBe('8.4 or newer, below 10');
    expect(describeRange({ from: [7] })).toBe('7 or newer');
  });
});
