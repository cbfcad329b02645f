// SPDX-License-Identifier: Apache-2.0
//
// Internal to hub/registry: where a repository of a registry stands.
#pragma once

#include <string>
#include <string_view>

#include "hub/registry/registry.h"
#include "net/url.h"

namespace omg {

struct Registry::Place {
  Url endpoint;
  std::string repository;  // checked by the grammar of names: fit for a path
  std::string shown;       // the name in errors

  std::string url(std::string_view rest) const {
    return endpoint.base() + "/v2/" + repository + "/" + std::string(rest);
  }
};

}  // namespace omg
