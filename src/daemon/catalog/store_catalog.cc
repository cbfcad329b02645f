// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/store_catalog.h"

#include <algorithm>

#include "base/error.h"
#include "daemon/catalog/create.h"
#include "daemon/catalog/inspect.h"
#include "daemon/jobs/installed.h"

namespace omg {
namespace {

Digest require_digest(const std::string& text) {
  if (const auto digest = Digest::parse(text)) return *digest;
  throw Error(ErrorCode::kInvalidArgument,
              "invalid digest format: it is sha256:<64 hexadecimal digits>");
}

}  // namespace

StoreCatalog::StoreCatalog(Store& store, StoreCatalogOptions options)
    : store_(store),
      options_(std::move(options)),
      keeper_(store, options_.files ? *options_.files : own_files_,
              options_.now ? options_.now : BlobKeeper::Clock::now) {}

std::vector<ListedModel> StoreCatalog::list(BuiltIn built_in) const {
  keeper_.forget_old();
  std::vector<ListedModel> models = store_.list().models;
  for (const ListedModel& listed : models) keeper_.forget(listed.model);
  std::stable_sort(models.begin(), models.end(), [](const ListedModel& a, const ListedModel& b) {
    return a.model.installed_at > b.model.installed_at;
  });
  const bool is_wanted =
      built_in == BuiltIn::kAlways || (built_in == BuiltIn::kIfAlone && models.empty());
  if (!is_wanted) return models;
  for (ListedModel& listed : store_.built_in()) models.push_back(std::move(listed));
  return models;
}

StoredModel StoreCatalog::find(const std::string& name) const {
  return store_.require(require_installed(store_, name));
}

ModelInspection StoreCatalog::inspect(const std::string& name, bool all_metadata) const {
  return inspect_model(store_, find(name), all_metadata);
}

void StoreCatalog::copy(const std::string& from, const std::string& to) {
  const StoreName source = require_installed(store_, from);
  store_.copy(source, new_model_name(store_, to));
}

void StoreCatalog::remove(const std::string& name) {
  StoreName stored("?");
  std::optional<StoredModel> model;
  try {
    stored = require_only_installed(store_, name);
    model = store_.require(stored);
  } catch (const Error& error) {
    // A damaged manifest has a name that can be removed, though nothing can be read of it.
    if (error.code() != ErrorCode::kCorrupt) throw;
    stored = StoreName(name);
  }
  if (model) {
    if (options_.before_remove) options_.before_remove(*model);
    keeper_.forget(*model);
  }
  if (!store_.remove(stored)) require_installed(store_, name);  // another was faster: says so
  keeper_.forget_old();
  try {
    store_.gc();
  } catch (const Error&) {  // the name is gone; its bytes go with the next collection
  }
}

bool StoreCatalog::has_blob(const std::string& digest) const {
  return keeper_.has(require_digest(digest));
}

std::unique_ptr<ModelCatalog::BlobUpload> StoreCatalog::upload(const std::string& digest) {
  return keeper_.upload(require_digest(digest));
}

}  // namespace omg
