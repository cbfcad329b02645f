// SPDX-License-Identifier: Apache-2.0
//
// Uploaded blobs become the files of a model: which they are is told by their bytes.
#pragma once

#include <map>
#include <string>

#include "base/cancellation.h"
#include "base/digest.h"
#include "daemon/jobs/job_queue.h"
#include "store/store.h"

namespace omg {

/// Blobs by the file names that they shall have. Fills in the artifacts (weights first, parts in
/// order) and what the weights say of themselves, and keeps the bytes with `lease`. Throws Error:
/// kNotFound for a blob that is not here, kInvalidArgument or kCorrupt for what is no whole model,
/// kUnsupported for safetensors, adapters, and families that cannot run.
void add_uploaded_files(Store& store, const std::map<std::string, Digest>& files,
                        StoredModel& model, Lease& lease);

/// Puts weights of fewer bits in the place of the model's: one file, whatever it was before.
/// Error(kInvalidArgument) where they have few bits already.
void quantize_weights(Store& store, const std::string& type, StoredModel& model, Lease& lease,
                      JobReport& report);

}  // namespace omg
