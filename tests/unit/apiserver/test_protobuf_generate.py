"""The table of Protobuf messages is made from sources that anybody can read."""

from __future__ import annotations

from pathlib import Path

from wellhead.apiserver.protobuf.generate import Messages

META = "k8s.io/apimachinery/pkg/apis/meta/v1"
SHOP = "k8s.io/api/shop/v1"

SOURCES = {
    f"{META}/types.go": """
type Time struct {
}
type ObjectMeta struct {
	Name string `json:"name,omitempty" protobuf:"bytes,1,opt,name=name"`
}
""",
    "k8s.io/apimachinery/pkg/types/uid.go": "type UID string\n",
    f"{SHOP}/types_test.go": 'type Ware struct {\n\tWrong string `json:"wrong" protobuf:"bytes,1,opt"`\n}\n',
    f"{SHOP}/types.go": """
import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

type Labels []string
type Colour string

// A ware.
type Ware struct {
	metav1.TypeMeta `json:",inline"`
	// Its name.
	metav1.ObjectMeta `json:"metadata" protobuf:"bytes,1,opt,name=metadata"`

	Price   *int32             `json:"price,omitempty" protobuf:"varint,2,opt,name=price"`
	Sold    metav1.Time        `json:"sold" protobuf:"bytes,7,opt,name=sold"`
	UID     types.UID          `json:"uid" protobuf:"bytes,3,opt,name=uid"`
	Parts   []Part             `json:"parts" protobuf:"bytes,4,rep,name=parts"`
	Extra   map[Colour]Labels  `json:"extra" protobuf:"bytes,5,rep,name=extra"`
	Picture []byte             `json:"picture" protobuf:"bytes,6,opt,name=picture"`
	Secret  string             `json:"-" protobuf:"bytes,8,opt,name=secret"`
}

type Part struct {
	Weight float64 `json:"weight" protobuf:"fixed64,1,opt,name=weight"`
}
""",
}


def test_go_sources_say_number_name_and_type_of_each_field(tmp_path: Path) -> None:
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    messages = Messages(tmp_path)
    messages.add(f"{SHOP}.Ware")
    assert messages.text().splitlines() == [
        "meta/v1.ObjectMeta 1:name:string",
        "shop/v1.Part 1:weight:float",
        "shop/v1.Ware 1:metadata:meta/v1.ObjectMeta 2:price:*int 7:sold:time 3:uid:string"
        " 4:parts:[]shop/v1.Part 5:extra:{}items 6:picture:bytes",
    ]
