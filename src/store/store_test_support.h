// SPDX-License-Identifier: Apache-2.0
//
// What the store's tests share: a store in a folder of its own, with a clock that stands still.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/testing/temporary_folder.h"
#include "store/store.h"

namespace omg::testing {

using TestFiles = std::vector<std::pair<std::string, std::string>>;  // names and bytes

/// Puts the bytes in as a pull does, through partials, and publishes them.
inline void publish_files(Store& store, const std::string& name, const TestFiles& contents,
                          FileSystem& files) {
  Lease lease;
  StoredModel model{StoreName(name)};
  for (const auto& [filename, bytes] : contents) {
    const Digest digest = sha256(bytes);
    auto artifact = store.locate(digest, lease);
    if (!artifact) {
      auto partial = store.try_lock_partial(PartialKey(digest));
      if (!partial) throw Error(ErrorCode::kUnavailable, "another pull has it");
      {
        const auto file = files.open(partial->path(), OpenMode::kCreate);
        file->write_at(0, std::as_bytes(std::span(bytes)));
      }
      store.put_blob(std::move(*partial), digest, bytes.size(), lease);
      artifact.emplace();
      artifact->digest = digest;
      artifact->size = bytes.size();
    }
    artifact->filename = filename;
    model.artifacts.push_back(*artifact);
  }
  store.publish(std::move(model));
}

class StoreFixture : public ::testing::Test {
 protected:
  Store open() {
    return Store::open({root(), nullptr, [this] { return clock.load(); }});
  }
  std::string root() const { return folder_ / "models"; }
  /// A folder beside the store, for what belongs to others.
  std::string outside() const {
    std::filesystem::create_directories(folder_ / "outside");
    return folder_ / "outside";
  }
  void publish(Store& store, const std::string& name, const TestFiles& contents) {
    publish_files(store, name, contents, files_);
  }
  std::vector<std::string> names_in(const std::string& part) {
    return files_.list(root() + "/" + part);
  }

  static ErrorCode code_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "no error";
    return ErrorCode::kInternal;
  }
  static std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  std::atomic<int64_t> clock = 1'800'000'000;

 private:
  TemporaryFolder folder_;
  RealFileSystem files_;
};

}  // namespace omg::testing
