// SPDX-License-Identifier: Apache-2.0
//
// From any model name to a remote model: picks the hub that the name means.
#pragma once

#include <string>

#include "hub/catalog.h"
#include "hub/huggingface/huggingface.h"
#include "hub/model_name.h"
#include "hub/registry/registry.h"
#include "hub/remote_model.h"
#include "hub/selection.h"
#include "net/http_client.h"

namespace omg {

struct HubOptions {
  HuggingFaceOptions huggingface;
  RegistryOptions registry;
  Catalog catalog;
};

/// Not thread-safe; `client` must outlive it.
class Hub {
 public:
  Hub(HttpClient& client, HubOptions options);

  /// An alias becomes what the catalogue says; other names stay. Error(kNotFound) with near names.
  ModelName expand(const ModelName& name) const;
  /// Finds the model and chooses its files. A quantisation in the name wins over `options`. Paths
  /// are Error(kInvalidArgument): they are not remote.
  RemoteModel resolve(const ModelName& name, const SelectionOptions& options = {});

  HuggingFace& huggingface() { return huggingface_; }
  Registry& registry() { return registry_; }
  const Catalog& catalog() const { return catalog_; }

 private:
  HttpClient& client_;
  Catalog catalog_;
  HuggingFace huggingface_;
  Registry registry_;
};

}  // namespace omg
