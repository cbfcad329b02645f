// SPDX-License-Identifier: Apache-2.0
//
// What dialects can ask about the models that are on this machine. daemon/catalog implements it
// over the store; tests of dialects have a small one of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "store/store.h"

namespace omg {

struct TensorSummary {
  std::string name;
  std::string type;  // "Q4_K"
  std::vector<uint64_t> shape;
};

/// What a model's files say of it, beyond its manifest.
struct ModelInspection {
  StoredModel model{StoreName("?")};
  /// Chat template in use, Jinja; "" if there is none.
  std::string chat_template;
  /// The file's metadata by key, in its order; long arrays are null unless all is asked for.
  json::object metadata;
  std::vector<TensorSummary> tensors;
  /// "completion", "tools", "thinking", "insert", "embedding", "vision": what it can do.
  std::vector<std::string> capabilities;
  std::string license;
};

/// Settings layered on a model or on files; no weights are copied.
struct CreateCall {
  std::string name;
  /// A model that is here, or that is pulled; or "" and `files`.
  std::string from;
  /// Path in the model to digest of a blob that was uploaded.
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> adapters;
  ModelSettings settings;
  std::string quantize;  // to this type; "": as it is
};

/// Which listings have the models that are built in.
enum class BuiltIn { kNever, kIfAlone, kAlways };

/// Thread-safe; methods throw Error, kNotFound for names that are not there. They read the disk:
/// not for io threads.
class ModelCatalog {
 public:
  virtual ~ModelCatalog() = default;

  /// Newest first.
  virtual std::vector<ListedModel> list(BuiltIn built_in) const = 0;
  virtual StoredModel find(const std::string& name) const = 0;
  virtual ModelInspection inspect(const std::string& name, bool all_metadata) const = 0;
  virtual void copy(const std::string& from, const std::string& to) = 0;
  /// Also unloads it.
  virtual void remove(const std::string& name) = 0;

  /// A blob's digest as text; Error(kInvalidArgument) for what is no digest.
  virtual bool has_blob(const std::string& digest) const = 0;
  /// Takes a blob's bytes, and keeps them for a while even though no model names them yet.
  class BlobUpload {
   public:
    virtual ~BlobUpload() = default;
    virtual void take(std::string_view piece) = 0;
    /// Error(kInvalidArgument) "digest mismatch, …". True: it is new.
    virtual bool finish() = 0;
  };
  virtual std::unique_ptr<BlobUpload> upload(const std::string& digest) = 0;
};

}  // namespace omg
