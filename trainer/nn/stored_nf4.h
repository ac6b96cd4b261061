// Weights in four bits as bitsandbytes stores them in a checkpoint: beside the packed weight
// `<name>` its scales, its tables, and a JSON text with the rest.
//
//   <name>                                   U8 (count / 2 rounded up, 1)
//   <name>.quant_state.bitsandbytes__nf4     U8: JSON with shape, blocksize, nested_offset, ...
//   <name>.quant_map                         F32 (16): must be NF4's
//   <name>.absmax                            F32 (blocks), or, with the three below, U8 (blocks)
//   <name>.nested_absmax, .nested_quant_map  F32 (blocks / 256), F32 (256)
//
// Source: bitsandbytes 0.50.2, functional.py, QuantState.as_dict(packed=True).
#pragma once

#include <cstdint>
#include <string>

#include "core/model/safetensors.h"
#include "core/result.h"
#include "trainer/ops/nf4.h"

namespace mayfly {

// Whether the checkpoint has `name` in this form.
bool has_stored_nf4(const SafetensorsModel& files, const std::string& name);

// The weight, copied out of the files. REQUIRES: has_stored_nf4. Errors: corrupt (a part is
// missing, or of another type or size than shape and block size make it; another shape than `rows`
// x `columns`), unsupported (other tables than NF4's, other sizes of nested blocks).
Result<Nf4Weight> read_stored_nf4(const SafetensorsModel& files, const std::string& name,
                                  std::int64_t rows, std::int64_t columns);

}  // namespace mayfly
