// SPDX-License-Identifier: Apache-2.0
//
// API keys at rest. A key is 256 random bits, so one SHA-256 over salt and key is all that is kept:
// slow hashes protect what people choose, and nobody can try 2^256 keys against a stolen file. The
// salt keeps equal hashes from telling of equal keys on two machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/file_system.h"
#include "daemon/access/scopes.h"

namespace omg {

struct ApiKey {
  std::string name;
  std::string salt;  // hex
  Digest hash;       // of salt and secret
  ScopeSet scopes;
  int64_t created_at = 0;            // seconds since 1970
  uint32_t requests_per_minute = 0;  // 0: as many as come
  uint32_t concurrent = 0;           // requests at once; 0: as many as come

  /// Takes the same time whatever `secret` is.
  bool is_opened_by(std::string_view secret) const;
};

struct NewApiKey {
  std::string name;
  ScopeSet scopes;
  uint32_t requests_per_minute = 0;
  uint32_t concurrent = 0;
};

/// A key for that secret, which is not kept.
ApiKey make_api_key(const NewApiKey& wanted, std::string_view secret, int64_t now);
/// "omg-" and 43 characters of base64url.
std::string random_secret();

/// The file of keys: JSON, mode 0600, replaced whole. Several processes may change it.
class ApiKeyFile {
 public:
  static constexpr size_t kMaxKeys = 1000;

  /// `files` must outlive it. Nothing is read yet.
  ApiKeyFile(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  /// In the order they were made; none where there is no file. Error(kCorrupt) says what is wrong.
  std::vector<ApiKey> read() const;
  /// Adds a key and returns its secret, which is told this once. Error(kInvalidArgument) for a name
  /// that is taken or that is not 1 to 64 of [A-Za-z0-9._@-], and for no scope.
  std::string create(const NewApiKey& wanted, int64_t now) const;
  /// False where there is no key of that name.
  bool remove(std::string_view name) const;
  /// Changes whenever the file does; "" where there is none.
  std::string version() const;

 private:
  std::unique_ptr<FileLock> lock() const;
  void write(const std::vector<ApiKey>& keys) const;

  FileSystem* files_;
  std::string path_;
};

}  // namespace omg
