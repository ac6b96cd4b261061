#include "tests/clouds/rig.h"

#include "core/provider/ec2.h"
#include "core/provider/lambda.h"
#include "core/provider/lium.h"
#include "core/provider/shadeform.h"
#include "tests/clouds/fake_ec2.h"
#include "tests/clouds/fake_lambda.h"
#include "tests/clouds/fake_lium.h"
#include "tests/clouds/fake_shadeform.h"

namespace mayfly {

namespace {

template <class Fake, class Client>
CloudKind kind(const std::string& name, Usd beside = {}) {
  return {name, [](VirtualClock& clock) { return std::make_unique<Fake>(clock); },
          [](std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
             const ApiPatience& patience) {
            return std::make_unique<Client>(std::move(http), clock, access, patience);
          },
          beside};
}

}  // namespace

const std::vector<CloudKind>& cloud_kinds() {
  static const std::vector<CloudKind> kinds = {
      kind<FakeShadeform, ShadeformProvider>("shadeform"),
      kind<FakeLambda, LambdaProvider>("lambda"),
      kind<FakeLium, LiumProvider>("lium"),
      kind<FakeEc2, Ec2Provider>("aws", FakeEc2::beside(150)),
  };
  return kinds;
}

}  // namespace mayfly
