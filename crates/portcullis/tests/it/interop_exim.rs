//! A real Exim sends through the gate.

use pc_testkit::{Behaviour, Exim, Receiver};

use crate::support::{CHAIN_2016, Node, message, text};

fn gate(receiver: &Receiver) -> Node {
    Node::start(&format!(
        "[[upstream]]\nname = \"r\"\ndomains = [\"example.org\"]\naddress = \"{}\"\ntls = \"none\"\n",
        receiver.address
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exim_relays_a_2016_chain_over_starttls_and_tries_again_after_a_450() {
    let receiver = Receiver::start(Behaviour::Accept, None).await.unwrap();
    let node = gate(&receiver);
    let exim = Exim::new(node.smtp).unwrap();
    // Exim takes lines with the line end of its system.
    let submitted = message(CHAIN_2016).replace("\r\n", "\n");
    exim.send(submitted.as_bytes()).unwrap();
    receiver.wait_for(1).await;
    let got = text(&receiver.deliveries().remove(0).message);
    assert!(got.contains("by edge.example.org (Portcullis) with ESMTPS"), "{got}");
    assert!(got.contains("verdict=unsupported; build=15.1.2507.31"), "{got}");
    assert!(exim.log().contains("TLS1.3"), "{}", exim.log());

    receiver.behave(Behaviour::Defer);
    exim.send(submitted.as_bytes()).unwrap();
    assert!(exim.log().contains("end of data: 451"), "{}", exim.log());
    receiver.behave(Behaviour::Accept);
    exim.flush().unwrap();
    receiver.wait_for(2).await;
    assert!(exim.log().matches(" Completed").count() == 2, "{}", exim.log());
}
