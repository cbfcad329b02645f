// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/installed.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/near_names.h"
#include "hub/model_name.h"

namespace omg {
namespace {

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

/// Other texts that stand for the same name.
std::vector<std::string> spellings(const std::string& text) {
  std::vector<std::string> names = {text};
  try {
    const ModelName name = parse_model_name(text);
    names.push_back(to_string(name));
    if (const auto* alias = std::get_if<AliasName>(&name)) {
      if (alias->tag.empty()) names.push_back(alias->name + ":latest");
      if (alias->tag == "latest") names.push_back(alias->name);
    }
  } catch (const Error&) {
    // No name of a hub, but perhaps one that the user gave.
  }
  return names;
}

/// The models of a repository that is named without a quantisation, last used first.
std::vector<StoreName> models_of_repository(const Store& store, const std::string& text) {
  HuggingFaceName wanted;
  try {
    const ModelName name = parse_model_name(text);
    const auto* repository = std::get_if<HuggingFaceName>(&name);
    if (repository == nullptr || !repository->quantization.empty()) return {};
    wanted = *repository;
  } catch (const Error&) {
    return {};
  }
  std::vector<ListedModel> found;
  for (const ListedModel& listed : store.list().models) {
    const ModelOrigin& origin = listed.model.origin;
    if (origin.provider != ModelProvider::kHuggingFace ||
        !equal_without_case(origin.repository, wanted.id()) ||
        (!wanted.revision.empty() && wanted.revision != origin.revision &&
         wanted.revision != origin.commit)) {
      continue;
    }
    found.push_back(listed);
  }
  const auto when = [](const ListedModel& listed) {
    return std::max(listed.last_used.value_or(0), listed.model.installed_at);
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const ListedModel& a, const ListedModel& b) { return when(a) > when(b); });
  std::vector<StoreName> names;
  for (const ListedModel& listed : found) names.push_back(listed.model.name);
  return names;
}

}  // namespace

std::optional<StoreName> find_spelling(const Store& store, const std::string& text) {
  for (const std::string& spelling : spellings(text)) {
    const StoreName name(spelling);
    if (store.find(name)) return name;
  }
  return std::nullopt;
}

std::optional<StoreName> find_installed(const Store& store, const std::string& text) {
  if (auto name = find_spelling(store, text)) return name;
  const std::vector<StoreName> names = models_of_repository(store, text);
  if (names.empty()) return std::nullopt;
  return names.front();
}

StoreName require_installed(const Store& store, const std::string& text) {
  if (auto name = find_installed(store, text)) return *name;
  std::vector<std::string> names;
  for (const ListedModel& listed : store.built_in()) names.push_back(listed.model.name.str());
  for (const ListedModel& listed : store.list().models) names.push_back(listed.model.name.str());
  throw Error(ErrorCode::kNotFound, "model '" + text + "' is not here" +
                                        did_you_mean(near_names(text, names)) + "; 'omg pull " +
                                        text + "' brings it, 'omg models' lists what is here");
}

StoreName require_only_installed(const Store& store, const std::string& text) {
  if (auto name = find_spelling(store, text)) {
    if (!store.require(*name).is_built_in()) return *name;
    throw Error(ErrorCode::kInvalidArgument,
                "'" + name->str() +
                    "' is built in and cannot be deleted; listings leave it out "
                    "where other models are");
  }
  const std::vector<StoreName> names = models_of_repository(store, text);
  if (names.size() <= 1) return require_installed(store, text);
  std::string list;
  for (const StoreName& name : names) list += (list.empty() ? "" : ", ") + name.str();
  throw Error(ErrorCode::kInvalidArgument,
              "'" + text + "' may mean " + list + "; say which, with its quantisation");
}

}  // namespace omg
