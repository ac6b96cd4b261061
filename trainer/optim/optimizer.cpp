#include "trainer/optim/optimizer.h"

#include "core/config/run_config.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/muon.h"
#include "trainer/optim/sgd.h"

namespace mayfly {

std::unique_ptr<Optimizer> make_optimizer(const TrainConfig& config, const at::Tensor& values,
                                          const std::vector<at::Tensor>& tensors) {
  switch (config.optimizer) {
    case OptimizerKind::adamw:
      return std::make_unique<AdamW>(adamw_settings(config), values);
    case OptimizerKind::sgd:
      return std::make_unique<Sgd>(
          SgdSettings{.momentum = momentum(config), .weight_decay = config.weight_decay}, values);
    case OptimizerKind::muon:
      return std::make_unique<Muon>(
          MuonSettings{.momentum = momentum(config), .weight_decay = config.weight_decay}, values,
          tensors);
  }
  return nullptr;
}

}  // namespace mayfly
