// SPDX-License-Identifier: Apache-2.0
//
// A model that is one file at a URL.
#pragma once

#include "hub/model_name.h"
#include "hub/remote_model.h"
#include "net/http_client.h"

namespace omg {

/// Size, ETag and (where the server tells, as Hugging Face does) SHA-256 of the file, by HEAD or,
/// where that is refused, a GET of one byte. Throws HttpError, and Error(kCorrupt) if no size is to
/// be had.
RemoteModel resolve_url_model(HttpClient& client, const UrlName& name);

}  // namespace omg
