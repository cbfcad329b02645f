// SPDX-License-Identifier: Apache-2.0
//
// Internal to hub/: the text of catalog.toml, built in.
#pragma once

namespace omg {

extern const char kCatalogToml[];

}  // namespace omg
