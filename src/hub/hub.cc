// SPDX-License-Identifier: Apache-2.0
#include "hub/hub.h"

#include "base/error.h"
#include "hub/url/url_model.h"

namespace omg {

Hub::Hub(HttpClient& client, HubOptions options)
    : client_(client),
      catalog_(std::move(options.catalog)),
      huggingface_(client, std::move(options.huggingface)),
      registry_(client, std::move(options.registry)) {}

ModelName Hub::expand(const ModelName& name) const {
  const auto* alias = std::get_if<AliasName>(&name);
  return alias == nullptr ? name : parse_model_name(catalog_.require(*alias).model);
}

RemoteModel Hub::resolve(const ModelName& name, const SelectionOptions& options) {
  const ModelName full = expand(name);
  if (const auto* hub = std::get_if<HuggingFaceName>(&full)) {
    SelectionOptions selection = options;
    if (!hub->quantization.empty()) selection.quantization = hub->quantization;
    return huggingface_.resolve(hub->id(), hub->revision, selection);
  }
  if (const auto* registry = std::get_if<RegistryName>(&full)) return registry_.resolve(*registry);
  if (const auto* url = std::get_if<UrlName>(&full)) return resolve_url_model(client_, *url);
  throw Error(ErrorCode::kInvalidArgument, "'" + to_string(name) +
                                               "' is a path on this machine and cannot be pulled; "
                                               "use it as it is, or adopt it with `omg import`");
}

}  // namespace omg
