// SPDX-License-Identifier: Apache-2.0
#include "daemon/access/api_keys.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"

namespace omg {
namespace {

constexpr uint64_t kMaxFileBytes = 1u << 20;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kSaltBytes = 16;

template <size_t kBytes>
std::array<uint8_t, kBytes> random_bytes() {
  std::array<uint8_t, kBytes> bytes{};
  // Up to 256 bytes come whole, or not at all before the system has randomness.
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    if (errno != EINTR) throw system_error("cannot get random bytes", errno);
  }
  return bytes;
}

std::string hex(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string base64url(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) text += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  return text;
}

Digest hash_of(std::string_view salt, std::string_view secret) {
  Sha256 hasher;
  hasher.update(salt);
  hasher.update(secret);
  return hasher.digest();
}

bool is_key_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._@-").find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), fits);
}

void check(const NewApiKey& wanted) {
  if (!is_key_name(wanted.name)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a key cannot be named so: a name has 1 to 64 letters, digits and . _ @ -");
  }
  if (wanted.scopes.is_empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a key without a scope opens nothing: give it infer, manage or metrics");
  }
}

json::object to_json(const ApiKey& key) {
  json::array scopes;
  for (const std::string& name : key.scopes.names()) scopes.emplace_back(name);
  return {{"name", key.name},
          {"salt", key.salt},
          {"hash", key.hash.str()},
          {"scopes", std::move(scopes)},
          {"created_at", key.created_at},
          {"requests_per_minute", key.requests_per_minute},
          {"concurrent", key.concurrent}};
}

/// Throws whatever the JSON library throws for wrong types; from_file() makes one error of it.
ApiKey from_json(const json::object& object) {
  NewApiKey wanted;
  wanted.name = object.at("name").as_string();
  for (const json::value& scope : object.at("scopes").as_array()) {
    wanted.scopes.add(scope_named(std::string_view(scope.as_string())));
  }
  check(wanted);
  const Digest hash = Digest::require(std::string_view(object.at("hash").as_string()), "a hash");
  ApiKey key{wanted.name, std::string(object.at("salt").as_string()), hash, wanted.scopes};
  key.created_at = object.at("created_at").to_number<int64_t>();
  key.requests_per_minute = object.at("requests_per_minute").to_number<uint32_t>();
  key.concurrent = object.at("concurrent").to_number<uint32_t>();
  return key;
}

}  // namespace

bool ApiKey::is_opened_by(std::string_view secret) const {
  const Digest given = hash_of(salt, secret);
  unsigned difference = 0;
  for (size_t i = 0; i < Digest::kBytes; ++i) {
    difference |= static_cast<unsigned>(given.bytes()[i] ^ hash.bytes()[i]);
  }
  return difference == 0;
}

ApiKey make_api_key(const NewApiKey& wanted, std::string_view secret, int64_t now) {
  check(wanted);
  const std::string salt = hex(random_bytes<kSaltBytes>());
  ApiKey key{wanted.name, salt, hash_of(salt, secret), wanted.scopes};
  key.created_at = now;
  key.requests_per_minute = wanted.requests_per_minute;
  key.concurrent = wanted.concurrent;
  return key;
}

std::string random_secret() {
  return "omg-" + base64url(random_bytes<32>());
}

std::vector<ApiKey> ApiKeyFile::read() const {
  if (!files_->info(path_)) return {};
  const std::string text = read_file(*files_, path_, kMaxFileBytes);
  try {
    std::vector<ApiKey> keys;
    const json::value root = parse_json(text, "the file");
    for (const json::value& key : root.as_object().at("keys").as_array()) {
      keys.push_back(from_json(key.as_object()));
    }
    if (keys.size() > kMaxKeys) throw Error(ErrorCode::kLimitExceeded, "more than 1000 keys");
    return keys;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kCorrupt, "the keys in " + path_ + " cannot be read: " + error.what() +
                                         "; restore the file, or remove it and make new keys");
  }
}

std::unique_ptr<FileLock> ApiKeyFile::lock() const {
  make_folders(*files_, folder_of(path_));
  return files_->lock(path_ + ".lock", LockMode::kExclusive, LockWait::kYes);
}

void ApiKeyFile::write(const std::vector<ApiKey>& keys) const {
  json::array array;
  for (const ApiKey& key : keys) array.push_back(to_json(key));
  std::string text = "{\"version\": 1, \"keys\": [";
  for (size_t i = 0; i < array.size(); ++i) {
    text += (i > 0 ? ",\n  " : "\n  ") + json::serialize(array[i]);
  }
  text += "\n]}\n";
  // Made first, with its mode, so that the bytes never stand in a file that others can read.
  const std::string temporary = path_ + ".new";
  files_->remove(temporary);
  const int made = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made < 0) throw system_error("cannot write " + temporary, errno);
  ::close(made);
  write_file_atomically(*files_, temporary, path_, text);
}

std::string ApiKeyFile::create(const NewApiKey& wanted, int64_t now) const {
  check(wanted);
  const auto held = lock();
  std::vector<ApiKey> keys = read();
  if (keys.size() >= kMaxKeys) {
    throw Error(ErrorCode::kLimitExceeded, "no key was made: there are 1000; remove old ones");
  }
  for (const ApiKey& key : keys) {
    if (key.name == wanted.name) {
      throw Error(ErrorCode::kInvalidArgument, "no key was made: there is one named '" +
                                                   wanted.name +
                                                   "'; remove it first, or choose "
                                                   "another name");
    }
  }
  std::string secret = random_secret();
  keys.push_back(make_api_key(wanted, secret, now));
  write(keys);
  return secret;
}

bool ApiKeyFile::remove(std::string_view name) const {
  if (!files_->info(path_)) return false;
  const auto held = lock();
  std::vector<ApiKey> keys = read();
  const auto count = std::erase_if(keys, [&](const ApiKey& key) { return key.name == name; });
  if (count > 0) write(keys);
  return count > 0;
}

std::string ApiKeyFile::version() const {
  const auto info = files_->info(path_);
  if (!info) return "";
  return std::to_string(info->inode) + "-" + std::to_string(info->modified_ns) + "-" +
         std::to_string(info->size);
}

}  // namespace omg
