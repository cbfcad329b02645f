// SPDX-License-Identifier: Apache-2.0
//
// Asks the test hub everything that a model's download needs, through the client that Hugging Face
// publishes: node check.mjs HUB_URL EXPECTED.json CACHE_FOLDER. What the hub must hold stands in
// EXPECTED.json, written by whoever filled the folder; each difference is an error.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import {
  checkRepoAccess,
  downloadFile,
  fileDownloadInfo,
  fileExists,
  HubApiError,
  listCommits,
  listFiles,
  listModels,
  modelInfo,
  pathsInfo,
  repoExists,
  snapshotDownload,
  whoAmI,
} from "@huggingface/hub";

const [hubUrl, expectedPath, cacheDir] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(expectedPath));
const repo = expected.repo;
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const gitOid = (bytes) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const all = async (generator) => {
  const items = [];
  for await (const item of generator) items.push(item);
  return items;
};
const refused = async (call) => {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof HubApiError, `not an error of the API: ${error}`);
    return error;
  }
  assert.fail("was not refused");
};

const checks = {
  async "a model's card"() {
    const info = await modelInfo({ name: repo, hubUrl, additionalFields: ["sha", "filePaths"] });
    assert.equal(info.name, repo);
    assert.equal(info.task, "text-generation");
    assert.equal(info.gated, false);
    assert.match(info.sha, /^[0-9a-f]{40}$/);
    assert.deepEqual([...info.filePaths].sort(), Object.keys(expected.files).sort());
    const pinned = await modelInfo({ name: repo, hubUrl, revision: info.sha });
    assert.equal(pinned.name, repo);
  },

  async "files in pages, with what is known of large ones"() {
    const entries = await all(listFiles({ repo, hubUrl, recursive: true, expand: true }));
    const files = entries.filter((entry) => entry.type === "file");
    assert.ok(files.length > expected.page, "the list must not fit one page");
    assert.deepEqual(files.map((file) => file.path).sort(), Object.keys(expected.files).sort());
    for (const file of files) {
      const known = expected.files[file.path];
      assert.equal(file.size, known.size);
      assert.equal(file.lfs?.oid, known.large ? known.sha256 : undefined);
      assert.match(file.oid, /^[0-9a-f]{40}$/);
      assert.match(file.lastCommit.id, /^[0-9a-f]{40}$/);
    }
    const top = await all(listFiles({ repo, hubUrl }));
    assert.ok(top.some((entry) => entry.type === "directory"));
    assert.ok(top.every((entry) => !entry.path.includes("/")));
  },

  async "each file's size, ETag and bytes, whole and in part"() {
    for (const [path, known] of Object.entries(expected.files)) {
      const info = await fileDownloadInfo({ repo, path, hubUrl });
      assert.equal(info.size, known.size, path);
      const blob = await downloadFile({ repo, path, hubUrl });
      const bytes = Buffer.from(await blob.arrayBuffer());
      assert.equal(sha256(bytes), known.sha256, path);
      assert.equal(info.etag, `"${known.large ? known.sha256 : gitOid(bytes)}"`, path);
      if (known.size > 20) {
        const part = Buffer.from(await blob.slice(7, 20).arrayBuffer());
        assert.deepEqual(part, bytes.subarray(7, 20), path);
      }
    }
  },

  async "a large file's pointer"() {
    const path = Object.keys(expected.files).find((name) => expected.files[name].large);
    const pointer = await (await downloadFile({ repo, path, hubUrl, raw: true })).text();
    assert.match(pointer, /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n/);
    assert.ok(pointer.includes(`oid sha256:${expected.files[path].sha256}\n`));
    const [known] = await pathsInfo({ repo, paths: [path], hubUrl });
    assert.equal(known.lfs.pointerSize, Buffer.byteLength(pointer));
    assert.equal(known.oid, gitOid(Buffer.from(pointer)));
  },

  async "a snapshot in the client's own cache"() {
    const folder = await snapshotDownload({ repo, hubUrl, cacheDir });
    for (const [path, known] of Object.entries(expected.files)) {
      assert.equal(sha256(readFileSync(join(folder, path))), known.sha256, path);
      if (known.large) assert.ok(readlinkSync(join(folder, path)).endsWith(known.sha256));
    }
  },

  async "what is not there"() {
    assert.equal(await fileExists({ repo, path: "config.json", hubUrl }), true);
    assert.equal(await fileExists({ repo, path: "none.gguf", hubUrl }), false);
    assert.equal(await fileDownloadInfo({ repo, path: "none.gguf", hubUrl }), null);
    assert.equal(await repoExists({ repo, hubUrl }), true);
    assert.equal(await repoExists({ repo: "org/none", hubUrl }), false);
    const revision = await refused(() => modelInfo({ name: repo, hubUrl, revision: "none" }));
    assert.equal(revision.statusCode, 404);
    const anonymous = await refused(() => checkRepoAccess({ repo: "org/none", hubUrl }));
    assert.equal(anonymous.statusCode, 401);
    const known = { repo: "org/none", hubUrl, accessToken: expected.tokens.other };
    assert.equal((await refused(() => checkRepoAccess(known))).statusCode, 404);
  },

  async "gates and tokens"() {
    const gated = { repo: expected.gated, path: expected.gatedPath, hubUrl };
    assert.equal((await modelInfo({ name: expected.gated, hubUrl })).gated, "auto");
    assert.equal((await refused(() => fileDownloadInfo(gated))).statusCode, 401);
    const stranger = { ...gated, accessToken: expected.tokens.other };
    const error = await refused(() => fileDownloadInfo(stranger));
    assert.equal(error.statusCode, 403);
    assert.ok(error.data.message.includes(`${hubUrl}/${expected.gated}`), "names the page");
    const friend = { ...gated, accessToken: expected.tokens.allowed };
    assert.ok((await downloadFile(friend)).size > 0);
    assert.equal((await whoAmI({ accessToken: expected.tokens.allowed, hubUrl })).name, "tester");
    const wrong = await refused(() => whoAmI({ accessToken: "hf_wrong", hubUrl }));
    assert.equal(wrong.statusCode, 401);
  },

  async "search, in pages"() {
    const found = await all(listModels({ hubUrl, search: { query: "model" } }));
    assert.ok(found.length > expected.page);
    assert.ok(found.every((model) => model.name.includes("model")));
    const owned = await all(listModels({ hubUrl, search: { owner: "org", query: "model-11" } }));
    assert.deepEqual(owned.map((model) => model.name), ["org/model-11"]);
    assert.equal((await all(listModels({ hubUrl, limit: 1 }))).length, 1);
    assert.equal((await all(listModels({ hubUrl, search: { query: "nowhere" } }))).length, 0);
  },

  async "commits"() {
    const commits = await all(listCommits({ repo, hubUrl }));
    assert.match(commits[0].oid, /^[0-9a-f]{40}$/);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${name}`);
}
console.log(`${Object.keys(checks).length} checks by @huggingface/hub passed`);
