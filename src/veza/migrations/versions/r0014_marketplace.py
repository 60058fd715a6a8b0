"""The marketplace: products, orders, licences, the ledger; and what tracks have to do with being sold."""

import sqlalchemy as sa
from alembic import op

from veza.core.db import Id

revision = "0014"
down_revision = "0013"

_WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create them; no track is for sale yet."""
    _tracks()
    _products()
    _orders()


def _tracks() -> None:
    op.add_column("tracks", sa.Column("for_sale", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "track_buyers",
        *_ids("user_id", "track_id", "product_id"),
        sa.PrimaryKeyConstraint("user_id", "track_id", "product_id", name="pk_track_buyers"),
        sqlite_with_rowid=False,
    )
    op.create_table("kept_files", sa.Column("key", sa.Text, primary_key=True))


def _products() -> None:
    seller = sa.ForeignKey("users.id", name="fk_products_seller_id", ondelete="SET NULL")
    op.create_table(
        "products",
        sa.Column("id", Id, primary_key=True),
        sa.Column("seller_id", Id, seller),
        *_texts("title", "description"),
        *_numbers("price"),
        *_texts("currency", "product_type", "license_type", "status"),
        sa.Column("track_id", Id),
        *_numbers("created_at", "updated_at"),
    )
    active = sa.text("status = 'active'")
    for by in ((), ("seller_id",), ("product_type",), ("seller_id", "product_type")):
        for sort, other in (("created_at", "price"), ("price", "created_at")):
            name = "_".join(("ix_products_active", *by, sort))
            columns = [*by, sort, "id", other]
            op.create_index(name, "products", columns, sqlite_where=active, postgresql_where=active)
    op.create_index("ix_products_seller_id_created_at", "products", ["seller_id", "created_at", "id"])
    op.create_index(
        "ix_products_seller_id_status_created_at", "products", ["seller_id", "status", "created_at", "id"]
    )
    op.create_table(
        "product_files",
        _product("product_files", ondelete="CASCADE"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("track_id", Id),
        sa.Column("upload_id", Id),
        *_texts("key", "filename", "mime"),
        *_numbers("size"),
        sa.PrimaryKeyConstraint("product_id", "position", name="pk_product_files"),
    )
    for column in ("track_id", "upload_id", "key"):
        op.create_index(f"ix_product_files_{column}", "product_files", [column])
    op.create_table(
        "product_words",
        sa.Column("word", _WORD, nullable=False),
        _product("product_words", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("word", "product_id", name="pk_product_words"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_product_words_product_id", "product_words", ["product_id"])


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", Id, primary_key=True),
        *_ids("buyer_id"),
        *_texts("currency"),
        *_numbers("total"),
        *_texts("status", "provider", "payment_ref"),
        sa.Column("payment_url", sa.Text),
        *_numbers("created_at"),
        sa.Column("completed_at", sa.BigInteger),
    )
    op.create_index("ix_orders_buyer_id_created_at", "orders", ["buyer_id", "created_at", "id"])
    op.create_index("ix_orders_provider_payment_ref", "orders", ["provider", "payment_ref"])
    order = sa.ForeignKey("orders.id", name="fk_order_items_order_id", ondelete="CASCADE")
    op.create_table(
        "order_items",
        sa.Column("order_id", Id, order, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *_ids("product_id", "seller_id"),
        *_texts("title", "product_type", "license_type"),
        *_numbers("price", "fee"),
        sa.Column("sold_at", sa.BigInteger),
        sa.Column("refunded_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("order_id", "position", name="pk_order_items"),
    )
    op.create_index("ix_order_items_seller_id_sold_at", "order_items", ["seller_id", "sold_at", "order_id"])
    op.create_index("ix_order_items_product_id", "order_items", ["product_id"])
    buyer = sa.ForeignKey("users.id", name="fk_licences_buyer_id")
    op.create_table(
        "licences",
        sa.Column("buyer_id", Id, buyer, nullable=False),
        _product("licences"),
        *_ids("order_id"),
        *_texts("license_type"),
        *_numbers("created_at"),
        sa.PrimaryKeyConstraint("buyer_id", "product_id", name="pk_licences"),
    )
    op.create_index("ix_licences_product_id", "licences", ["product_id"])
    op.create_index("ix_licences_order_id", "licences", ["order_id"])
    op.create_table(
        "ledger",
        sa.Column("id", Id, primary_key=True),
        *_ids("order_id"),
        sa.Column("position", sa.Integer, nullable=False),
        *_texts("kind", "account"),
        sa.Column("owner_id", Id),
        *_numbers("amount"),
        *_texts("currency"),
        *_numbers("created_at"),
        sa.UniqueConstraint(
            "order_id", "position", "kind", "account", name="uq_ledger_order_id_position_kind_account"
        ),
    )
    op.create_index("ix_ledger_owner_id_created_at", "ledger", ["owner_id", "created_at", "id"])


def _product(table: str, *, ondelete: str | None = None) -> "sa.Column[object]":
    key = sa.ForeignKey("products.id", name=f"fk_{table}_product_id", ondelete=ondelete)
    return sa.Column("product_id", Id, key, nullable=False)


def _ids(*names: str) -> "list[sa.Column[object]]":
    return [sa.Column(name, Id, nullable=False) for name in names]


def _numbers(*names: str) -> "list[sa.Column[int]]":
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _texts(*names: str) -> "list[sa.Column[str]]":
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
